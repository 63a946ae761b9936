"""The walk-through in docs/embedding.md runs, and prints what it says; so do the examples.

With --update, writes what is printed into the document.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import unittest

from common import ROOT

DOCUMENT = ROOT / "docs" / "embedding.md"
BLOCK = re.compile(r"```python\n(.*?)```\n(?:\n```text\n(.*?)```\n)?", re.DOTALL)


def run_blocks(text):
    """[(code, promised output or None, printed)] of every block, run as one program."""
    names, results = {}, []
    for code, promised in BLOCK.findall(text):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(DOCUMENT), "exec"), names)  # pylint: disable=exec-used
        results.append((code, promised, printed.getvalue()))
    return results


class Documents(unittest.TestCase):
    def test_walk_through_prints_what_it_says(self):
        results = run_blocks(DOCUMENT.read_text("utf-8"))
        self.assertGreater(len(results), 8)
        for code, promised, printed in results:
            self.assertEqual(printed, promised, code)

    def test_examples_run(self):
        examples = sorted((ROOT / "examples" / "python").glob("*.py"))
        self.assertGreaterEqual(len(examples), 4)
        for path in examples:
            done = subprocess.run(
                [sys.executable, "-B", str(path)], capture_output=True, text=True, check=False,
                env={**os.environ, "SENTINEL_DATA": str(ROOT)},
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertGreater(len(done.stdout), 50)


def update():
    outputs = iter([printed for _, _, printed in run_blocks(DOCUMENT.read_text("utf-8"))])
    DOCUMENT.write_text(
        BLOCK.sub(
            lambda m: f"```python\n{m.group(1)}```\n\n```text\n{next(outputs)}```\n",
            DOCUMENT.read_text("utf-8"),
        ),
        "utf-8",
    )


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        unittest.main()
