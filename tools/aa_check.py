#!/usr/bin/env python3
"""Does the profiler see differences where there are none?

Runs `sentinel profile` 20 times and looks at the A/A row, the same thing measured as two cells: in
how many runs does the difference of their speeds lie within the interval that the run reports?
About 19 of 20 should. Exits with 1 below --least.

    tools/aa_check.py build/release/sentinel [--runs 20] [--least 19] [-- more profile flags]
"""

import argparse
import json
import subprocess
import sys
import tempfile

FLAGS = ["--pruning_levels", "0", "--strategy", "magnitude", "--max_eval_windows", "1",
         "--max_footprint_mb", "0"]


def measure(binary, flags):
    with tempfile.TemporaryDirectory() as folder:
        command = [binary, "profile", "--json", "--output_dir", folder, *FLAGS, *flags]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            sys.exit(done.stderr.strip())
        result = json.loads(done.stdout)
    test = result["aa_test"]
    neighbours = result["environment"]["conditions"][0]["neighbours_cpu_percent"]
    return abs(test["difference_percent"]["tokens_per_second"]), test["interval_percent"], neighbours


def main():
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary")
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--least", type=int, default=19)
    options = parser.parse_args(words[:cut])
    inside = 0
    for run in range(options.runs):
        difference, interval, neighbours = measure(options.binary, words[cut + 1:])
        held = difference <= interval
        inside += held
        print(f"run {run + 1:2}: differs by {difference:5.2f} %, interval {interval:6.2f} %: "
              f"{'within' if held else 'BEYOND'}; other programs took {neighbours or 0:.0f} % "
              "of the cores", flush=True)
    print(f"{inside} of {options.runs} within the reported interval")
    return 0 if inside >= options.least else 1


if __name__ == "__main__":
    sys.exit(main())
