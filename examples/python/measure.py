"""How fast is this machine with this model, and what do closed heads buy and cost? In half a minute."""

import tempfile

import sentinel

baseline = sentinel.load_baseline_model(sentinel.bundled_model())
for row in sentinel.benchmark(baseline, n_prompt=64, n_gen=32).rows:
    print(
        f"{row['test']:6} {row['median_ts']:7.0f} tokens/s, "
        f"{100 * row['bandwidth_fraction']:3.0f} % of the read bandwidth, "
        f"{100 * row['flops_fraction']:3.0f} % of the arithmetic peak"
    )

# The whole picture: the same tables and files as `sentinel profile` makes.
with tempfile.TemporaryDirectory() as folder:
    run = sentinel.profile(
        pruning_levels=[0, 50], generated_tokens=8, iterations=3, max_eval_windows=2,
        max_footprint_mb=0, output_dir=folder,
    )
for percent, cell in run.data["pruning_comparison"]["optimized"].items():
    print(
        f"{percent:>2} % of the heads closed: {cell['tokens_per_second']:6.0f} tokens/s, "
        f"perplexity {cell['perplexity']:8.3f}"
    )
print(run.report[run.report.index("Recommendation") :])
