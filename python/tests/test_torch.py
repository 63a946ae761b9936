"""State dicts of torch tensors (Debian: python3-torch). ctest shows it as skipped without torch."""

import json
import sys
import unittest

import numpy as np
from common import MINI, REFERENCE, load, read_safetensors

import sentinel

SKIPPED = 77

try:
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(SKIPPED)

CONFIG = json.loads((MINI / "config.json").read_text("utf-8"))
IDS = REFERENCE["prompts"][0]["ids"]


def state_dict(dtype=torch.float32):
    """By way of bytes: Debian's torch need not be built for this numpy."""
    return {
        (name if name.startswith("transformer.") else "transformer." + name):
            torch.from_numpy(array.copy()).to(dtype)
        for name, array in read_safetensors(MINI / "model.safetensors").items()
    }


def logits(state):
    baseline = sentinel.load_baseline_model(state_dict=state, config=CONFIG)
    return sentinel.load_adaptive_model(baseline, optimization_level=1).forward(IDS)


class Torch(unittest.TestCase):
    def setUp(self):
        self.expected = load(1).forward(IDS)

    def test_tensors(self):
        np.testing.assert_array_equal(logits(state_dict()), self.expected)

    def test_bfloat16(self):
        difference = np.abs(logits(state_dict(torch.bfloat16)) - self.expected).max()
        self.assertGreater(difference, 0)
        self.assertLess(difference, 0.5)

    def test_ids_may_be_tensors(self):
        np.testing.assert_array_equal(load(1).forward(torch.tensor(IDS)), self.expected)


if __name__ == "__main__":
    unittest.main()
