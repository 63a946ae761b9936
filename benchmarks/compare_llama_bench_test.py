"""compare_llama_bench.py pairs what two programs print, and says in a line what went wrong."""
import json
import os
import stat
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "compare_llama_bench.py"
# Answers as llama-bench and sentinel bench do, at a speed that doubles from call to call.
FAKE = """#!{python}
import json, os, sys
a = sys.argv
state = a[0] + ".calls"
calls = int(open(state).read()) if os.path.exists(state) else 0
open(state, "w").write(str(calls + 1))
row = {{"n_prompt": int(a[a.index("-p") + 1]), "n_gen": int(a[a.index("-n") + 1]),
        "avg_ts": {speed} * 2 ** calls}}
print(json.dumps({answer}))
"""


class CompareLlamaBench(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def program(self, name, speed, answer):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(FAKE.format(python=sys.executable, speed=speed, answer=answer))
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        return path

    def run_script(self, *arguments):
        return subprocess.run([sys.executable, str(SCRIPT), "--gguf", "m.gguf", "--model", "m",
                               *arguments], capture_output=True, text=True, check=False)

    def test_ratios_are_paired(self):
        done = self.run_script("--llama_bench", self.program("llama", 100, "[row]"),
                               "--sentinel", self.program("sentinel", 300, '{"rows": [row]}'),
                               "--rounds", "3", "--n_gen", "0", "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        row = json.loads(done.stdout)["rows"][0]
        self.assertEqual(row["test"], "pp512")
        self.assertEqual(row["llama_ts"], [100, 200, 400])
        self.assertEqual([row["ratio_min"], row["ratio_median"], row["ratio_max"]], [3, 3, 3])

    def test_a_missing_program_is_named(self):
        done = self.run_script("--llama_bench", "/nowhere/llama-bench")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/llama-bench: No such file", done.stderr)
        self.assertEqual(len(done.stderr.strip().splitlines()), 1)


if __name__ == "__main__":
    unittest.main()
