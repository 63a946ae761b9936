#!/usr/bin/env python3
"""Checks the include graph of src/ and include/, and that every header stands on its own.

Rules (CONTRIBUTING.md says why):
  - cli -> api -> app -> model -> kernels -> base: a file includes only its own layer and lower ones
  - include/sentinel counts as part of api; BASE_HEADERS of it may be included from any layer
  - the public headers include only each other and the C++ standard library
  - folders of src/app do not include each other; only src/app/sweep may (tests are exempt)
  - nothing outside src/cli includes it
  - what src/kernels/x86/<isa> includes, directly or not, uses only ISA_HEADERS of the library,
    because inline code compiled there with -m flags could be linked into baseline paths
  - every header has `#pragma once` and compiles alone (kernels/generic: after a vec16.h)

Usage: check_layers.py [--root DIR] [--no-compile]
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

LAYERS = ["base", "kernels", "model", "app", "api", "cli"]
PROGRAM = "src/main.cc"  # on top of the command line's library, not in it: tests have their own
BASE_HEADERS = {"include/sentinel/agency.h", "include/sentinel/controller.h",
                "include/sentinel/error.h", "include/sentinel/export.h"}
APP_COMPOSER = "sweep"
ISA_HEADERS = {
    "algorithm", "array", "bit", "cassert", "cfloat", "cinttypes", "climits", "cmath", "cstddef",
    "cstdint", "cstdlib", "cstring", "immintrin.h", "limits", "span", "stddef.h", "stdint.h",
    "string.h", "type_traits", "utility", "x86intrin.h",
}
ISA_FLAGS = {
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avx512": ["-mavx2", "-mfma", "-mf16c", "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl",
               "-mavx512vnni", "-mavx512bf16"],
}
ISA_FLAGS["avx512vnni"] = ISA_FLAGS["avx512bf16"] = ISA_FLAGS["avx512"]
ISA_FLAGS["amx"] = ISA_FLAGS["avx512"] + ["-mamx-tile", "-mamx-bf16", "-mamx-int8"]
# Kernels written over a Vec16 that the including file chooses: they compile after this one.
GENERIC_FOLDER, GENERIC_PRELUDE = "src/kernels/generic/", "src/kernels/ref/vec16.h"

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.MULTILINE)
CXX_STANDARD_HEADER = re.compile(r"^[a-z_]+$")


class Tree:
    """The project's sources and who includes whom; paths are relative to the root, as text."""

    def __init__(self, root):
        self.root = Path(root)
        self.files = {}
        for folder in ("include", "src"):
            for path in sorted((self.root / folder).rglob("*")):
                if path.suffix in (".h", ".cc"):
                    self.files[path.relative_to(self.root).as_posix()] = path.read_text("utf-8")
        self.includes = {name: self._includes_of(name, text) for name, text in self.files.items()}

    def _includes_of(self, name, text):
        """[(line, included text, project file or None)]"""
        found = []
        for match in INCLUDE.finditer(text):
            target = match.group(2)
            candidates = [f"src/{target}", f"include/{target}"]
            if match.group(1) == '"':
                beside = os.path.normpath(os.path.join(os.path.dirname(name), target))
                candidates.insert(0, Path(beside).as_posix())
            project = next((c for c in candidates if c in self.files), None)
            found.append((text.count("\n", 0, match.start()) + 1, target, project))
        return found

    def closure(self, name):
        """All project files that `name` includes, directly or not."""
        seen, todo = set(), [name]
        while todo:
            for _, _, project in self.includes[todo.pop()]:
                if project and project not in seen:
                    seen.add(project)
                    todo.append(project)
        return seen


def layer_of(name):
    """Rank of a file's layer, or None when it lies outside the layers."""
    parts = name.split("/")
    if parts[0] == "include":
        return 0 if name in BASE_HEADERS else LAYERS.index("api")
    if name == PROGRAM:
        return LAYERS.index("cli")
    return LAYERS.index(parts[1]) if parts[1] in LAYERS else None


def is_test(name):
    return name.endswith(("_test.cc", "_benchmark.cc"))


def app_folder(name):
    parts = name.split("/")
    return parts[2] if parts[:2] == ["src", "app"] and len(parts) > 3 else None


def isa_folder(name):
    parts = name.split("/")
    return parts[3] if parts[:3] == ["src", "kernels", "x86"] and len(parts) > 4 else None


def check_include(name, target, project):
    """What is wrong with one include, or None."""
    if name.startswith("include/"):
        standard = CXX_STANDARD_HEADER.match(target)
        if not standard and not (project or "").startswith("include/"):
            return f"a public header includes {target}: only sentinel/ and C++ standard headers"
    if project is None:
        return None
    own, other = layer_of(name), layer_of(project)
    if own is None or other is None:
        return f"{project} or this file is in no known layer ({', '.join(LAYERS)})"
    if other > own:
        return f"{LAYERS[own]} includes {project}: {LAYERS[other]} is a higher layer"
    own_app, other_app = app_folder(name), app_folder(project)
    if other_app and own_app not in (other_app, APP_COMPOSER) and LAYERS[own] == "app":
        if not is_test(name):
            return f"src/app/{own_app or ''} includes {project}: only app/{APP_COMPOSER} may compose"
    return None


def check_graph(tree):
    errors = []
    for name in tree.files:
        if layer_of(name) is None:
            errors.append(f"{name}: src/{name.split('/')[1]} is no known layer ({', '.join(LAYERS)})")
            continue
        for line, target, project in tree.includes[name]:
            problem = check_include(name, target, project)
            if problem:
                errors.append(f"{name}:{line}: {problem}")
    return errors


def check_isa_files(tree):
    errors = []
    for name in tree.files:
        if not isa_folder(name) or is_test(name):
            continue
        for user in sorted({name} | tree.closure(name)):
            for line, target, project in tree.includes[user]:
                if project is None and target not in ISA_HEADERS:
                    via = "" if user == name else f" through {user}:{line}"
                    errors.append(f"{name}: gets <{target}>{via}: inline code compiled with -m flags")
    return errors


def check_pragma(tree):
    return [
        f"{name}:1: no #pragma once"
        for name, text in tree.files.items()
        if name.endswith(".h") and not re.search(r"^#pragma once$", text, re.MULTILINE)
    ]


def header_key(tree, names, command):
    """Changes when a header, anything it includes from the project, or the command changes."""
    digest = hashlib.sha256(json.dumps(command).encode())
    parts = set().union(*({part} | tree.closure(part) for part in names))
    for part in sorted(parts):
        digest.update(part.encode() + b"\0" + tree.files[part].encode() + b"\0")
    return digest.hexdigest()


def check_headers_compile(tree, compiler, cache_file):
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    try:
        passed = set(json.loads(cache_file.read_text("utf-8")))
    except (OSError, ValueError):
        passed = set()

    def compile_alone(name):
        command = [compiler, "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-x", "c++",
                   "-I", str(tree.root / "include"), "-I", str(tree.root / "src"),
                   *ISA_FLAGS.get(isa_folder(name) or "", []), "-"]
        names = [name]
        if name.startswith(GENERIC_FOLDER) and GENERIC_PRELUDE in tree.files:
            names.insert(0, GENERIC_PRELUDE)
        key = header_key(tree, names, [version.stdout, *command])
        if key in passed:
            return key, None
        source = "".join(f'#include "{tree.root / part}"\n' for part in names)
        result = subprocess.run(command, input=source, capture_output=True, text=True)
        if result.returncode == 0:
            return key, None
        first = next((l for l in result.stderr.splitlines() if "error" in l), result.stderr.strip())
        return None, f"{name}:1: does not compile alone: {first}"

    headers = [name for name in tree.files if name.endswith(".h")]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(compile_alone, headers))
    try:
        cache_file.parent.mkdir(parents=True, exist_ok=True)
        cache_file.write_text(json.dumps(sorted(key for key, _ in results if key)), "utf-8")
    except OSError:
        pass  # a cache that cannot be kept only costs time
    return [error for _, error in results if error]


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, default=Path(__file__).resolve().parent.parent)
    parser.add_argument("--no-compile", action="store_true", help="only the include graph")
    options = parser.parse_args(arguments)

    tree = Tree(options.root)
    if not tree.files:
        print(f"{options.root}: no sources under src/ and include/", file=sys.stderr)
        return 2
    errors = check_graph(tree) + check_isa_files(tree) + check_pragma(tree)
    if not options.no_compile:
        compiler = os.environ.get("CXX") or "g++"
        if not shutil.which(compiler):
            print(f"{compiler}: not found; install g++ or set CXX", file=sys.stderr)
            return 2
        cache = options.root / "build" / "check_layers.json"
        errors += check_headers_compile(tree, compiler, cache)
    for error in errors:
        print(error)
    print(f"check_layers: {len(tree.files)} files, {len(errors)} errors", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
