"""The five likeliest next tokens of two prompts, in one padded batch."""

import numpy as np

import sentinel

baseline = sentinel.load_baseline_model(sentinel.bundled_model())
model = sentinel.load_adaptive_model(baseline_model=baseline, optimization_level=1)

prompts = ["It was a cold winter morning, and the old", "The ship sailed"]
ids = [baseline.encode(prompt) for prompt in prompts]
batch = np.zeros((len(ids), max(map(len, ids))), np.int32)
mask = np.zeros(batch.shape, bool)
for row, tokens in enumerate(ids):
    batch[row, : len(tokens)] = tokens
    mask[row, : len(tokens)] = True

logits = model.forward(batch, attention_mask=mask)  # [batch, length, vocab_size]
for row, prompt in enumerate(prompts):
    last = logits[row, len(ids[row]) - 1]
    print(f"{prompt}...")
    for token in np.argsort(-last)[:5]:
        print(f"  {last[token]:7.3f}  {baseline.decode([token])!r}")
