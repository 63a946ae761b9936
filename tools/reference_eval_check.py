#!/usr/bin/env python3
"""Prunes the bundled model and compares Sentinel's perplexities with reference_eval.py's.

Usage: reference_eval_check.py SENTINEL_BINARY. Fails if a dense, compact or padded checkpoint gets
another perplexity from the independent implementation.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import reference_eval  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
MODEL, TEXT = ROOT / "models/sentinel-mini", ROOT / "texts/validation.txt"
TOLERANCE = 1e-4  # relative: f32 sums against f64


def run(binary, *args):
    result = subprocess.run([binary, *map(str, args), "--json"], capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"sentinel {args[0]} failed: {result.stderr}")
    return json.loads(result.stdout)


def main():
    binary = sys.argv[1]
    text = TEXT.read_bytes().decode("utf-8")
    failed = False
    with tempfile.TemporaryDirectory() as temporary:
        folders = {"dense": MODEL}
        for kind, flags in (("compact", []), ("padded", ["--padded"])):
            folders[kind] = Path(temporary) / kind
            run(binary, "prune", "-m", MODEL, "--heads", 30, "--ffn", 20, "--strategy", "output",
                "--calibration_tokens", 4096, "--max_eval_windows", 1, "--no_bench", "--out",
                folders[kind], *flags)
        for kind, folder in folders.items():
            ours = run(binary, "eval", "-m", folder, "--text", TEXT, "--max_windows", 2)
            theirs = reference_eval.evaluate(folder, text, max_windows=2)
            gap = abs(ours["perplexity"] / theirs["perplexity"] - 1)
            same = gap < TOLERANCE and ours["tokens_scored"] == theirs["tokens_scored"]
            failed |= not same
            print(f"{kind}: sentinel {ours['perplexity']:.6f}, numpy {theirs['perplexity']:.6f}, "
                  f"relative difference {gap:.1e}{'' if same else '  DIFFERENT'}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
