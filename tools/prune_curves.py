#!/usr/bin/env python3
"""Quality after pruning, as perplexity relative to the whole model, for every strategy and recovery.

    tools/prune_curves.py build/release/sentinel [--calibration FILE] [--text FILE]... [--model DIR]
        [--amounts 30:0,50:0,0:20,50:30] [--strategies a,b] [--recover none,bias,refit]
        [--windows N] [--protect] [--check]

An amount is heads:neurons in percent. Texts after the first are read after refits only. A strategy's plan for an amount is made once, with refit, and
replayed for the other recoveries. Prints one Markdown table per text; --protect adds one with the
first position protected. --check ends with 1 unless obs + refit is at or below every other strategy
with refit and, protected, refit is at or below bias and none (--tolerance, as a ratio).
"""

import argparse
import json
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


def ratios(args, amount, strategy, recover, plans, folder):
    """{text: ratio} and, when protected, {text: ratio with the first position protected}."""
    heads, ffn = amount
    cells = {}
    out = folder / f"{strategy}-{recover}-{heads}-{ffn}"
    for protect in ([False, True] if args.protect else [False]):
        what = ["--heads", heads, "--ffn", ffn, "--strategy", strategy]
        if (amount, strategy) in plans:
            what = ["--plan", plans[amount, strategy]]
        target = Path(f"{out}-{'on' if protect else 'off'}")
        common = ["--recover", recover, "--out", target, "--no_bench", "--max_eval_windows",
                  args.windows, "--protect_first", "on" if protect else "off"]
        if args.model:
            common += ["--model", args.model]
        if args.calibration:
            common += ["--calibration", args.calibration]
        first = ["--text", args.text[0]] if args.text else []
        result = call(args.binary, "prune", [*common, *what, *first])
        plans.setdefault((amount, strategy), target / "prune_plan.json")
        key = "perplexity_protected" if protect else "perplexity"
        name = args.text[0] if args.text else "validation"
        cells[name, protect] = result["after"][key] / result["before"]["perplexity"]
        for text in args.text[1:] if recover == "refit" and not protect else []:
            more = call(args.binary, "eval", ["-m", target, "--text", text, "--against",
                                              args.model or "models/sentinel-mini",
                                              "--max_windows", args.windows])
            cells[text, False] = more["perplexity"] / more["perplexity_base"]
    return cells


def measure(args, amounts):
    table = {}
    plans = {}
    with tempfile.TemporaryDirectory() as temporary:
        for amount in amounts:
            for strategy in args.strategies.split(","):
                for recover in args.recover.split(","):
                    cells = ratios(args, amount, strategy, recover, plans, Path(temporary))
                    for key, value in cells.items():
                        table[key, strategy, recover, amount] = value
                        print(*key, strategy, recover, *amount, f"{value:.4f}", file=sys.stderr,
                              flush=True)
    return table


def print_tables(args, amounts, table):
    for text, protect in sorted({key[0] for key in table}, key=lambda k: (k[1], k[0])):
        print(f"\n{Path(text).name}{', first position protected' if protect else ''}\n")
        print("| strategy | recover | " + " | ".join(
            f"{h} % heads" if f == "0" else f"{f} % ffn" if h == "0" else f"{h} % + {f} %"
            for h, f in amounts) + " |")
        print("|---" * (2 + len(amounts)) + "|")
        for strategy in args.strategies.split(","):
            for recover in args.recover.split(","):
                if ((text, protect), strategy, recover, amounts[0]) not in table:
                    continue
                row = [table[(text, protect), strategy, recover, a] for a in amounts]
                print(f"| {strategy} | {recover} | " + " | ".join(f"{r:.4f}" for r in row) + " |")


def misses(args, amounts, table):
    """Lines that say which promise a cell breaks."""
    names = args.strategies.split(",")
    limit = 1 + args.tolerance
    for key in sorted({k[0] for k in table}):
        for amount in amounts:
            def at(strategy, recover):
                return table.get((key, strategy, recover, amount))
            for name in names:
                best, other = at("obs", "refit"), at(name, "refit")
                if best and other and best > other * limit:
                    yield f"{key} {amount}: obs + refit {best:.4f} > {name} + refit {other:.4f}"
                for lesser in ("bias", "none"):
                    value = at(name, lesser)
                    if key[1] and other and value and other > value * limit:
                        yield f"{key} {amount}: {name} + refit {other:.4f} > {lesser} {value:.4f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("--model")
    parser.add_argument("--calibration")
    parser.add_argument("--text", action="append", default=[])
    parser.add_argument("--amounts", default="30:0,50:0,70:0")
    parser.add_argument("--strategies", default="obs,random,magnitude,entropy,output,ablation")
    parser.add_argument("--recover", default="refit,bias,none")
    parser.add_argument("--windows", default="100")
    parser.add_argument("--protect", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--tolerance", type=float, default=0.001)
    args = parser.parse_args()
    amounts = [tuple(a.split(":")) for a in args.amounts.split(",")]
    table = measure(args, amounts)
    print_tables(args, amounts, table)
    if args.check:
        broken = list(misses(args, amounts, table))
        print("\n".join(broken) if broken else "\nevery promise holds", file=sys.stderr)
        sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
