"""Close the heads that matter least, look at the cost, save the smaller model, open it again."""

import os
import tempfile

import sentinel

baseline = sentinel.load_baseline_model(sentinel.bundled_model())
model = sentinel.load_adaptive_model(baseline_model=baseline, optimization_level=1)
dense = sentinel.load_adaptive_model(baseline_model=baseline, optimization_level=1)
with open(sentinel.bundled_text("validation"), encoding="utf-8") as file:
    text = file.read()

for percent in (0, 10, 20, 40):
    closed = model.prune(percent)
    result = model.evaluate(text, max_windows=4, against=dense)
    assert result.divergence is not None
    print(
        f"{len(closed):2} heads closed: perplexity {result.perplexity:8.3f}, "
        f"KL {result.divergence.kl_mean:.4f} nats per token, "
        f"same favourite {100 * result.divergence.top1_agreement:5.1f} %"
    )

with tempfile.TemporaryDirectory() as folder:
    model.save_pretrained(os.path.join(folder, "small"))
    small = sentinel.load_baseline_model(os.path.join(folder, "small"))
    print(f"saved: {small.parameter_count} of {baseline.parameter_count} parameters are left")
