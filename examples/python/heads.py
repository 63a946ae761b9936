"""What each head does to the loss: close one at a time, and measure."""

import numpy as np

import sentinel

model = sentinel.load_adaptive_model(sentinel.bundled_model(), optimization_level=1)
with open(sentinel.bundled_text("validation"), encoding="utf-8") as file:
    text = file.read()

dense = model.evaluate(text, max_windows=2).nll_mean
harm = np.zeros((model.baseline.n_layers, model.baseline.n_heads(0)))
for layer, head in np.ndindex(*harm.shape):
    model.set_gate(layer, head, 0.0)
    harm[layer, head] = model.evaluate(text, max_windows=2).nll_mean - dense
    model.set_gate(layer, head, 1.0)

print("loss added by closing each head, thousandths of a nat (row: layer, column: head)")
for row in harm:
    print("  " + " ".join(f"{1000 * value:7.1f}" for value in row))
layer, head = divmod(int(harm.argmax()), harm.shape[1])
print(f"head {layer}:{head} matters most")

model.set_head_state(layer, head, "withdrawn", consent=False)
print("opened again:", model.set_head_state(layer, head, "active"))
report = model.get_agency_report()
print("violations:", report["total_violations"])
print("layer", layer, "without:", report["layer_reports"][layer]["withdrawn_head_indices"])
