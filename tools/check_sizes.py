#!/usr/bin/env python3
"""Checks sizes and leftovers: files and functions short enough, no open notes, no machine's paths.

  - .cc, .h and .py files: at most MAX_FILE_LINES lines
  - functions: a warning above WARN_FUNCTION_LINES lines, an error above MAX_FUNCTION_LINES
  - no open notes (the two usual words) in sources, scripts and documents
  - no absolute paths of somebody's machine there

Functions of C++ are found by their braces: good enough for formatted code, not a parser.
Usage: check_sizes.py [--root DIR] [--quiet]   (--quiet leaves the warnings out)
"""

import argparse
import ast
import re
import sys
from pathlib import Path

MAX_FILE_LINES = 500
WARN_FUNCTION_LINES = 60
MAX_FUNCTION_LINES = 90

SIZED = {".cc", ".h", ".py"}
TEXT = SIZED | {".md", ".txt", ".sh", ".cmake", ".json", ""}
SKIPPED_FOLDERS = {".git", ".cache", "build", "models", "texts", "profiling_results", "__pycache__"}
DATA_FOLDERS = {"tests/data", "fuzz/corpus"}

# Written in two parts so that this file passes its own check.
NOTE = re.compile(r"\b(TO" r"DO|FIX" r"ME)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:wo" r"rk|ho" r"me|Us" r"ers)/")

# What a C++ scan must not look into: comments, string and character literals.
OPAQUE = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"([^\s()\\]{0,16})\(.*?\)\1"|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'",
    re.DOTALL,
)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)
CONTAINER = re.compile(
    r"^(?:(?:inline|static|constexpr|const|typedef|export)\s+)*"
    r"(?:namespace|class|struct|union|enum|extern)\b(?!.*\)\s*(?:const|noexcept)?\s*$)",
    re.DOTALL,
)
TEMPLATE = re.compile(r"^template\s*<(?:[^<>]|<(?:[^<>]|<[^<>]*>)*>)*>\s*(?:requires\s+\S+\s+)?")
FUNCTION_NAME = re.compile(r"([~\w:]+|operator\s*\S+)\s*\(")


def blanked(text):
    """The text with everything opaque replaced by spaces, line breaks kept."""

    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))

    return PREPROCESSOR.sub(blank, OPAQUE.sub(blank, text))


def cc_functions(text):
    """[(name, first line, number of lines)] of the functions in C++ source."""
    code = blanked(text)
    found, scopes = [], []  # scopes: (is a container, name, line where the head starts)
    head_start = 0
    for match in re.finditer(r"[{};]", code):
        position, mark = match.start(), match.group(0)
        inside_function = any(not container for container, _, _ in scopes)
        if mark == "{":
            raw = code[head_start:position]
            head = TEMPLATE.sub("", raw.strip())
            start = head_start + len(raw) - len(raw.lstrip())
            name = FUNCTION_NAME.search(head)
            container = bool(CONTAINER.match(head)) or (name is None and not inside_function)
            scopes.append((container, name.group(1) if name else "", code.count("\n", 0, start) + 1))
        elif mark == "}" and scopes:
            container, name, line = scopes.pop()
            if not container and all(outer for outer, _, _ in scopes):
                found.append((name, line, code.count("\n", 0, position) + 2 - line))
        head_start = position + 1
    return found


def py_functions(text):
    nodes = ast.walk(ast.parse(text))
    return [
        (node.name, node.lineno, node.end_lineno - node.lineno + 1)
        for node in nodes
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]


def check_size(name, text):
    errors, warnings = [], []
    lines = text.count("\n") + (not text.endswith("\n"))
    if lines > MAX_FILE_LINES:
        errors.append(f"{name}:1: {lines} lines, more than {MAX_FILE_LINES}: split the file")
    functions = py_functions(text) if name.endswith(".py") else cc_functions(text)
    for function, line, length in functions:
        message = f"{name}:{line}: {function} has {length} lines"
        if length > MAX_FUNCTION_LINES:
            errors.append(f"{message}, more than {MAX_FUNCTION_LINES}: split the function")
        elif length > WARN_FUNCTION_LINES:
            warnings.append(f"{message}, more than {WARN_FUNCTION_LINES}")
    return errors, warnings


def check_leftovers(name, text):
    errors = []
    for number, line in enumerate(text.splitlines(), 1):
        if NOTE.search(line):
            errors.append(f"{name}:{number}: open note: do it or file an issue")
        if MACHINE_PATH.search(line):
            errors.append(f"{name}:{number}: path of one machine: {line.strip()[:60]}")
    return errors


def project_files(root):
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if SKIPPED_FOLDERS & set(path.relative_to(root).parts):
            continue
        if any(name.startswith(folder + "/") for folder in DATA_FOLDERS):
            continue
        if path.is_file() and not path.is_symlink() and path.suffix in TEXT:
            yield name, path


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--quiet", action="store_true", help="errors only")
    options = parser.parse_args(arguments)

    errors, warnings, count = [], [], 0
    for name, path in project_files(options.root):
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue  # not text
        count += 1
        errors += check_leftovers(name, text)
        if path.suffix in SIZED:
            more_errors, more_warnings = check_size(name, text)
            errors += more_errors
            warnings += more_warnings
    if not count:
        print(f"{options.root}: no files to check", file=sys.stderr)
        return 2
    if not options.quiet:
        for warning in warnings:
            print(f"warning: {warning}")
    for error in errors:
        print(error)
    print(f"check_sizes: {count} files, {len(errors)} errors, {len(warnings)} warnings",
          file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
