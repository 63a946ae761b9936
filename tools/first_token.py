#!/usr/bin/env python3
"""Time from process start to the first token, beside the time of reading and packing the weights.

    tools/first_token.py build/release/sentinel MODEL [--levels 1,2,3] [--prompt_tokens 64]
        [--repetitions 11] [--threads N]

Runs `sentinel generate` with the levels in turn, from a page-cached checkpoint, and prints medians:
start to first text on standard output (wall clock of this script), load (`load_ms` of --json:
checkpoint, tokeniser and packing), and their ratio.
"""

import argparse
import json
import statistics
import subprocess
import time


def command(args, level):
    prompt = " ".join(["the"] * args.prompt_tokens)  # one token each
    line = [args.binary, "generate", "-m", args.model, "--optimization_level", level, "-n", "2",
            "--temperature", "0", "--ignore_eos", "--prompt", prompt]
    return [*line, "--threads", str(args.threads)] if args.threads else line


def first_text_ms(line):
    start = time.monotonic()
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdout.read(1)
        elapsed = (time.monotonic() - start) * 1e3
        process.stdout.read()
    if process.returncode != 0:
        raise SystemExit(f"{' '.join(line[:2])} ended with {process.returncode}")
    return elapsed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("model")
    parser.add_argument("--levels", default="1,2,3")
    parser.add_argument("--prompt_tokens", type=int, default=64)
    parser.add_argument("--repetitions", type=int, default=11)
    parser.add_argument("--threads", type=int)
    args = parser.parse_args()
    levels = args.levels.split(",")
    first, load, inside = ({level: [] for level in levels} for _ in range(3))
    for _ in range(args.repetitions):
        for level in levels:
            first[level].append(first_text_ms(command(args, level)))
            result = subprocess.run([*command(args, level), "--json"], check=True,
                                    capture_output=True, text=True)
            document = json.loads(result.stdout)
            load[level].append(document["load_ms"])
            inside[level].append(document["first_token_ms"])
    for level in levels:
        ratio = statistics.median(a / b for a, b in zip(first[level], load[level]))
        print(f"level {level}: start to first token {statistics.median(first[level]):.0f} ms, "
              f"load {statistics.median(load[level]):.0f} ms, prompt to first token "
              f"{statistics.median(inside[level]):.0f} ms; ratio to load {ratio:.2f}")


if __name__ == "__main__":
    main()
