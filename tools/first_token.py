#!/usr/bin/env python3
"""Time from process start to the first token, beside the time of reading and packing the weights.

    tools/first_token.py build/release/sentinel MODEL [--levels 1,2,3] [--prompt_tokens 64]
        [--repetitions 11] [--threads N]

Runs `sentinel generate` with the levels in turn, from a page-cached checkpoint, and prints medians:
start to first text on standard output (wall clock of this script), what the same runs say of loading
(checkpoint, tokeniser and packing) and of the prompt, and the ratio of the first two.
"""

import argparse
import json
import re
import statistics
import subprocess
import time


def command(args, level, words):
    # One token, or its text would be shown only when its last character is complete.
    line = [args.binary, "generate", "-m", args.model, "--optimization_level", level, "-n", "1",
            "--temperature", "0", "--ignore_eos", "--prompt", " ".join(["the"] * words)]
    return [*line, "--threads", str(args.threads)] if args.threads else line


def prompt_size(args, level):
    """(words, tokens) of a prompt of about args.prompt_tokens tokens in this model's vocabulary."""
    def tokens(words):
        line = [*command(args, level, words), "--json"]
        result = subprocess.run(line, check=True, capture_output=True, text=True)
        return len(json.loads(result.stdout)["prompt_tokens"])

    words = max(1, round(args.prompt_tokens ** 2 / tokens(args.prompt_tokens)))
    return words, tokens(words)


def first_text(line):
    """(start to first text, loading, prompt to first token) of one run, in ms."""
    start = time.monotonic()
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.read(1)
        elapsed = (time.monotonic() - start) * 1e3
        process.stdout.read()
        summary = process.stderr.read().decode()
    times = re.search(r"load ([\d.]+) ms, first token ([\d.]+) ms", summary)
    if process.returncode != 0 or not times:
        raise SystemExit(f"{' '.join(line[:2])} ended with {process.returncode}: {summary}")
    return elapsed, float(times[1]), float(times[2])


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
    runs = {level: [] for level in levels}
    words, tokens = prompt_size(args, levels[0])
    for _ in range(args.repetitions):
        for level in levels:
            runs[level].append(first_text(command(args, level, words)))
    print(f"prompt of {tokens} tokens")
    for level in levels:
        first, load, prompt = (statistics.median(column) for column in zip(*runs[level]))
        ratio = statistics.median(run[0] / run[1] for run in runs[level])
        print(f"level {level}: start to first token {first:.0f} ms, load {load:.0f} ms, "
              f"prompt to first token {prompt:.0f} ms; ratio to load {ratio:.2f}")


if __name__ == "__main__":
    main()
