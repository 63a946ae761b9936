#!/usr/bin/env python3
"""Measures the curves of docs/pruning.md: perplexity ratio by strategy, recovery and share removed.

Usage: prune_curves.py SENTINEL_BINARY [--calibration FILE] [--text FILE] [--model DIR]
       [--heads 30,50,70] [--ffn 0] [--strategies a,b] [--recover none,bias,refit] [--windows N]
Prints one Markdown table row per strategy and recovery. Plans are made once per strategy and share
and replayed for every recovery.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def run(binary, arguments):
    result = subprocess.run([binary, "prune", *map(str, arguments), "--no_bench", "--json"],
                            capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(map(str, arguments))}: {result.stderr}")
    return json.loads(result.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("--model")
    parser.add_argument("--calibration")
    parser.add_argument("--text")
    parser.add_argument("--heads", default="30,50,70")
    parser.add_argument("--ffn", default="0")
    parser.add_argument("--strategies", default="random,magnitude,entropy,output,ablation,obs")
    parser.add_argument("--recover", default="none,bias,refit")
    parser.add_argument("--windows", default="60")
    args, rest = parser.parse_known_args()
    common = [*rest, "--max_eval_windows", args.windows]
    for name in ("model", "calibration", "text"):
        if getattr(args, name):
            common += [f"--{name}", getattr(args, name)]
    shares = [(h, f) for h in args.heads.split(",") for f in args.ffn.split(",")]
    print("| strategy | recover | " + " | ".join(f"{h} % heads, {f} % ffn" for h, f in shares) + " |")
    print("|---" * (2 + len(shares)) + "|")
    with tempfile.TemporaryDirectory() as temporary:
        for strategy in args.strategies.split(","):
            plans = {}
            for recover in args.recover.split(","):
                cells = []
                for share in shares:
                    out = Path(temporary) / f"{strategy}-{recover}-{share[0]}-{share[1]}"
                    amount = ["--heads", share[0], "--ffn", share[1], "--strategy", strategy]
                    if share in plans:
                        amount = ["--plan", plans[share]]
                    result = run(args.binary, [*common, *amount, "--recover", recover, "--out", out])
                    plans.setdefault(share, out / "prune_plan.json")
                    cells.append(f"{result['perplexity_ratio']:.4f}")
                print(f"| {strategy} | {recover} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
