"""A transformers GPT2LMHeadModel gives the same logits here. ctest shows it as skipped where torch
and transformers cannot be imported (exit code 77)."""

import sys
import unittest

import numpy as np
from common import MINI, REFERENCE

import sentinel

SKIPPED = 77

try:
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(SKIPPED)


def in_float32():
    """transformers 5 would compute in the type of the file, float16."""
    return GPT2LMHeadModel.from_pretrained(MINI).float().eval()


def difference(model, ids):
    """Of all logits, at level 0: the largest."""
    with torch.no_grad():
        expected = model(torch.tensor([ids])).logits[0].numpy()
    own = sentinel.load_adaptive_model(baseline_model=model, optimization_level=0)
    return float(np.abs(own.forward(ids) - expected).max())


class Transformers(unittest.TestCase):
    def test_the_bundled_model(self):
        model = in_float32()
        largest = max(difference(model, prompt["ids"]) for prompt in REFERENCE["prompts"])
        print(f"sentinel-mini: largest difference of a logit {largest:.2e}")
        self.assertLess(largest, 1e-4)

    def test_its_greedy_text(self):
        model = in_float32()
        prompt = REFERENCE["prompts"][0]
        with torch.no_grad():
            expected = model.generate(
                torch.tensor([prompt["ids"]]), max_new_tokens=24, do_sample=False, pad_token_id=0
            )[0, len(prompt["ids"]) :].tolist()
        own = sentinel.load_adaptive_model(baseline_model=model, optimization_level=1)
        self.assertTrue(own.baseline.has_tokenizer)
        self.assertEqual(own.generate(prompt["ids"], 24, temperature=0).tokens, expected)

    def test_a_random_model_of_odd_sizes(self):
        torch.manual_seed(1)
        config = GPT2Config(
            vocab_size=307, n_positions=64, n_embd=60, n_layer=3, n_head=5, bos_token_id=0,
            eos_token_id=0,
        )
        model = GPT2LMHeadModel(config).eval()
        largest = difference(model, list(range(40)))
        print(f"random model: largest difference of a logit {largest:.2e}")
        self.assertLess(largest, 1e-4)


if __name__ == "__main__":
    unittest.main()
