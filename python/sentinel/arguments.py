"""Arguments on their way to the engine. What is of a wrong type is a sentinel.Error that names it, as
what is of a wrong value."""

from __future__ import annotations

import os
import reprlib
from typing import Any, Optional

from ._core import Error


def usage_error(message: str) -> Error:
    error = Error(message)
    error.kind = "usage"
    return error


def path_bytes(path: Any, what: str) -> bytes:
    """As the system has it: a file's name need not be valid UTF-8."""
    try:
        return os.fsencode(path)
    except TypeError:
        raise usage_error(f"{what}: expected a path, got {type(path).__name__}") from None


class checked:
    """Around a call of the engine with these arguments. It refuses a wrong type by a TypeError that
    lists C++ signatures, and does not say which argument it was."""

    def __init__(self, **arguments: Any) -> None:
        self._arguments = arguments

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if not isinstance(error, TypeError) or "incompatible function arguments" not in str(error):
            return
        given = [(name, reprlib.repr(value)) for name, value in self._arguments.items()]
        if len(given) == 1:
            which = ": ".join(given[0])
        else:
            which = "one of " + ", ".join("=".join(each) for each in given)
        raise usage_error(f"{which} has the wrong type or is out of range") from None


def set_all(options: object, **arguments: Any) -> None:
    """Sets attributes of one of the engine's option objects."""
    for name, value in arguments.items():
        with checked(**{name: value}):
            setattr(options, name, value)
