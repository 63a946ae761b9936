#!/usr/bin/env python3
"""Quality after pruning, as perplexity relative to the whole model, for every strategy and recovery.

    tools/prune_curves.py build/release/sentinel [--calibration FILE] [--text FILE]... [--model DIR]
        [--amounts 30:0,50:0,0:20,50:30] [--strategies a,b] [--recover refit,bias,none]
        [--windows N] [--calibration_tokens N] [--plans DIR] [--protect] [--check]

An amount is heads:neurons in percent. A strategy's plan for an amount is made once, with the first
recovery, and replayed for the others; --plans keeps them for the next call with the same
calibration. Prints one Markdown table per text. --protect measures with the first position protected (the first text only).
--check ends with 1 unless obs + refit is at or below every other strategy with refit and, with
--protect, refit is at or below bias and none (all within --tolerance, as a ratio).
"""

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def call(binary, command, arguments):
    result = subprocess.run([binary, command, *map(str, arguments), "--json"],
                            capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{command} {' '.join(map(str, arguments))}: {result.stderr}")
    return json.loads(result.stdout)


def plan_file(args, amount, strategy, plans):
    """Named by all that a plan follows from, so that none is replayed for another question."""
    text = hashlib.sha256(Path(args.calibration).read_bytes()).hexdigest()[:12] \
        if args.calibration else "bundled"
    parts = [strategy, *amount, args.recover.split(",")[0], text, args.calibration_tokens]
    return plans / ("-".join(parts + ["protected"] * args.protect) + ".json")


def ratios(args, amount, strategy, recover, plans, folder):
    """{text: ratio to the whole model's perplexity}"""
    heads, ffn = amount
    plan = plan_file(args, amount, strategy, plans)
    out = folder / f"{strategy}-{recover}-{heads}-{ffn}"
    what = ["--plan", plan] if plan.exists() else ["--heads", heads, "--ffn", ffn, "--strategy",
                                                   strategy]
    what += ["--recover", recover, "--out", out, "--no_bench", "--max_eval_windows", args.windows,
             "--protect_first", "on" if args.protect else "off",
             "--calibration_tokens", args.calibration_tokens]
    for name in ("model", "calibration"):
        if getattr(args, name):
            what += [f"--{name}", getattr(args, name)]
    texts = args.text or ["texts/validation.txt"]
    result = call(args.binary, "prune", [*what, "--text", texts[0]])
    if not plan.exists():
        shutil.copy(out / "prune_plan.json", plan)
    key = "perplexity_protected" if args.protect else "perplexity"
    cells = {texts[0]: result["after"][key] / result["before"]["perplexity"]}
    for text in texts[1:] if not args.protect else []:
        more = call(args.binary, "eval", ["-m", out, "--text", text, "--max_windows", args.windows,
                                          "--against", args.model or "models/sentinel-mini"])
        cells[text] = more["perplexity"] / more["perplexity_base"]
    return cells


def measure(args, amounts):
    table = {}
    with tempfile.TemporaryDirectory() as temporary:
        plans = Path(args.plans or temporary)
        plans.mkdir(parents=True, exist_ok=True)
        for amount in amounts:
            for strategy in args.strategies.split(","):
                for recover in args.recover.split(","):
                    cells = ratios(args, amount, strategy, recover, plans, Path(temporary))
                    for text, value in cells.items():
                        table[text, strategy, recover, amount] = value
                        print(Path(text).name, strategy, recover, *amount, f"{value:.4f}",
                              file=sys.stderr, flush=True)
    return table


def print_tables(args, amounts, table):
    for text in dict.fromkeys(key[0] for key in table):
        print(f"\n{Path(text).name}{', first position protected' if args.protect else ''}\n")
        print("| strategy | recover | " + " | ".join(
            f"{h} % heads" if f == "0" else f"{f} % ffn" if h == "0" else f"{h} % + {f} %"
            for h, f in amounts) + " |")
        print("|---" * (2 + len(amounts)) + "|")
        for strategy in args.strategies.split(","):
            for recover in args.recover.split(","):
                row = [f"{table[text, strategy, recover, a]:.4f}" for a in amounts]
                print(f"| {strategy} | {recover} | " + " | ".join(row) + " |")


def misses(args, table):
    """Lines that say which promise a cell breaks."""
    limit = 1 + args.tolerance
    for (text, strategy, recover, amount), value in table.items():
        where = f"{text}, {'+'.join(amount)} %"
        best = table.get((text, "obs", recover, amount))
        if recover == "refit" and best and best > value * limit:
            yield f"{where}: obs + refit {best:.4f} > {strategy} + refit {value:.4f}"
        refit = table.get((text, strategy, "refit", amount))
        if args.protect and refit and refit > value * limit:
            yield f"{where}: {strategy} + refit {refit:.4f} > {strategy} + {recover} {value:.4f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("--model")
    parser.add_argument("--calibration")
    parser.add_argument("--calibration_tokens", default="131072")
    parser.add_argument("--text", action="append", default=[])
    parser.add_argument("--amounts", default="30:0,50:0,70:0")
    parser.add_argument("--strategies", default="obs,random,magnitude,entropy,output,ablation")
    parser.add_argument("--recover", default="refit,bias,none")
    parser.add_argument("--windows", default="100")
    parser.add_argument("--plans")
    parser.add_argument("--protect", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--tolerance", type=float, default=0.001)
    args = parser.parse_args()
    amounts = [tuple(a.split(":")) for a in args.amounts.split(",")]
    table = measure(args, amounts)
    print_tables(args, amounts, table)
    if args.check:
        broken = list(misses(args, table))
        print("\n".join(broken) if broken else "every promise holds", file=sys.stderr)
        sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
