#!/usr/bin/env python3
"""Sentinel beside llama.cpp on the same model: interleaved runs, paired ratios.

  benchmarks/compare_llama_bench.py --llama_bench PATH --gguf FILE --model FOLDER

Runs `llama-bench` and `sentinel bench` in turn (A B A B ...), one repetition each, with the same
threads and the same tests, and prints the medians and the median of the paired ratios. The GGUF has
to hold the same model as the folder; choose --weights of the same precision as the GGUF's
(f32, bf16, int8 for q8_0, int4 for q4_0).
"""
import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def numbers(text):
    return [int(n) for n in text.split(",")]


def parse_arguments(arguments):
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], epilog=__doc__, add_help=True,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--llama_bench", required=True, help="path of the llama-bench binary")
    parser.add_argument("--gguf", required=True, help="llama.cpp's file of the model")
    parser.add_argument("--model", required=True, help="Hugging Face folder of the same model")
    parser.add_argument("--sentinel", default=str(ROOT / "build/release/sentinel"))
    parser.add_argument("--weights", default="int8", choices=["f32", "bf16", "int8", "int6", "int4"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--prompt", type=numbers, default=[512], help="prefill lengths: 64,512")
    parser.add_argument("--n_gen", type=numbers, default=[128], help="decode lengths: 20,128")
    parser.add_argument("--depth", type=numbers, default=[0], help="context before a test: 0,512")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    return parser.parse_args(arguments)


def run_json(command):
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              check=False)
    except OSError as error:
        sys.exit(f"{command[0]}: {error.strerror}; give the path of a program")
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"{command[0]}: failed with {done.returncode}: {last}")
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        sys.exit(f"{command[0]}: printed no JSON: {error}")


def llama_speed(options, n_prompt, n_gen, depth):
    rows = run_json([options.llama_bench, "-m", options.gguf, "-t", str(options.threads),
                     "-p", str(n_prompt), "-n", str(n_gen), "-d", str(depth), "-r", "1",
                     "-o", "json"])
    return next(row["avg_ts"] for row in rows
                if row["n_prompt"] == n_prompt and row["n_gen"] == n_gen)


def sentinel_speed(options, n_prompt, n_gen, depth):
    level = {"f32": "1", "bf16": "2", "int8": "2", "int6": "2", "int4": "3"}[options.weights]
    document = run_json([options.sentinel, "bench", "-m", options.model,
                         "-t", str(options.threads), "-p", str(n_prompt), "-n", str(n_gen),
                         "-d", str(depth), "-r", "1", "--optimization_level", level,
                         "--weights", options.weights, "--json"])
    return next(row["avg_ts"] for row in document["rows"]
                if row["n_prompt"] == n_prompt and row["n_gen"] == n_gen)


def test_name(n_prompt, n_gen, depth):
    name = f"pp{n_prompt}" if n_prompt else f"tg{n_gen}"
    return f"{name}@d{depth}" if depth else name


def compare(options):
    tests = [(p, 0, d) for d in options.depth for p in options.prompt if p]
    tests += [(0, n, d) for d in options.depth for n in options.n_gen if n]
    rows = []
    for n_prompt, n_gen, depth in tests:
        llama, sentinel = [], []
        for done in range(options.rounds):
            if sys.stderr.isatty():
                print(f"\r{test_name(n_prompt, n_gen, depth)}: {done}/{options.rounds}", end="",
                      file=sys.stderr)
            llama.append(llama_speed(options, n_prompt, n_gen, depth))
            sentinel.append(sentinel_speed(options, n_prompt, n_gen, depth))
        ratios = [ours / theirs for ours, theirs in zip(sentinel, llama)]
        rows.append({"test": test_name(n_prompt, n_gen, depth), "weights": options.weights,
                     "threads": options.threads, "llama_ts": llama, "sentinel_ts": sentinel,
                     "ratio_median": statistics.median(ratios), "ratio_min": min(ratios),
                     "ratio_max": max(ratios)})
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    return rows


def main():
    options = parse_arguments(sys.argv[1:])
    if options.rounds < 1:
        sys.exit("rounds: give a number from 1 on")
    rows = compare(options)
    if options.json:
        print(json.dumps({"rows": rows}, indent=1))
        return
    print(f"{'test':<12} {'llama.cpp t/s':>14} {'sentinel t/s':>14} {'ratio':>7}   range")
    for row in rows:
        print(f"{row['test']:<12} {statistics.median(row['llama_ts']):>14.1f} "
              f"{statistics.median(row['sentinel_ts']):>14.1f} {row['ratio_median']:>7.2f}   "
              f"{row['ratio_min']:.2f} to {row['ratio_max']:.2f}")


if __name__ == "__main__":
    main()
