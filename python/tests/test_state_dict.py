"""Models from memory: numpy arrays, tensors, objects that look like GPT2LMHeadModel."""

import json
import sys
import unittest
import weakref
from types import SimpleNamespace
from unittest import mock

import numpy as np
from common import MINI, REFERENCE, load, read_safetensors

import sentinel
from sentinel.arrays import state_tensors

CONFIG = json.loads((MINI / "config.json").read_text("utf-8"))
IDS = REFERENCE["prompts"][0]["ids"]


def logits_of(baseline):
    return sentinel.load_adaptive_model(baseline, optimization_level=1).forward(IDS)


class Tensor:
    """What the module uses of torch.Tensor."""

    def __init__(self, array):
        self.array, self.dtype = array, "torch." + array.dtype.name

    def detach(self):
        return self

    cpu = detach

    def numpy(self):
        return self.array


class Bfloat16(Tensor):
    """As torch has it: numpy gets its bits from a view, and from no conversion."""

    dtype = "torch.bfloat16"

    def __init__(self, array):
        self.bits = (np.ascontiguousarray(array, np.float32).view(np.uint32) >> 16).astype(np.int16)

    def contiguous(self):
        return self

    def view(self, dtype):
        assert dtype == "torch.int16"
        return Tensor(self.bits)

    def data_ptr(self):
        return self.bits.ctypes.data


class Config:
    _name_or_path = str(MINI)

    def to_dict(self):
        return CONFIG


class Model:
    """What the module uses of transformers.GPT2LMHeadModel."""

    config = Config()

    def state_dict(self):
        state = {name: Tensor(array) for name, array in STATE.items()}
        state["lm_head.weight"] = state["transformer.wte.weight"]  # tied
        state["transformer.h.0.attn.bias"] = Tensor(np.ones((1, 1, 4, 4), bool))  # old mask buffer
        return state


STATE = read_safetensors(MINI / "model.safetensors")
if not any(name.startswith("transformer.") for name in STATE):
    STATE = {"transformer." + name: array for name, array in STATE.items()}


class StateDict(unittest.TestCase):
    def setUp(self):
        self.expected = load(1).forward(IDS)

    def test_numpy(self):
        for config in (CONFIG, json.dumps(CONFIG), Config()):
            baseline = sentinel.load_baseline_model(state_dict=STATE, config=config)
            self.assertFalse(baseline.has_tokenizer)
            np.testing.assert_array_equal(logits_of(baseline), self.expected)
        model = sentinel.load_adaptive_model(baseline)
        self.assertEqual(model.generate(IDS, 3, temperature=0).text, "")
        with self.assertRaisesRegex(sentinel.Error, "tokenizer"):
            model.generate("text")

    def test_other_types_and_layouts(self):
        for change in (
            lambda a: a.astype(np.float64),
            lambda a: a.astype(np.float32),
            lambda a: a.astype(">f4"),
            lambda a: np.asfortranarray(a),
        ):
            state = {name: change(array) for name, array in STATE.items()}
            baseline = sentinel.load_baseline_model(state_dict=state, config=CONFIG)
            np.testing.assert_array_equal(logits_of(baseline), self.expected)

    def test_bfloat16_is_taken_as_it_is(self):
        state = {name: Bfloat16(array) for name, array in STATE.items()}
        state["lm_head.weight"] = state["transformer.wte.weight"]
        with mock.patch.dict(sys.modules, torch=SimpleNamespace(int16="torch.int16")):
            tensors = {name: (dtype, array) for name, dtype, array in state_tensors(state)}
            baseline = sentinel.load_baseline_model(state_dict=state, config=CONFIG)
        for name, (dtype, array) in tensors.items():
            self.assertEqual(dtype, "BF16")
            self.assertTrue(np.shares_memory(array, state[name].bits))
        difference = np.abs(logits_of(baseline) - self.expected).max()
        self.assertGreater(difference, 0)
        self.assertLess(difference, 0.5)

    def test_tied_tensors_are_converted_once(self):
        wide = STATE["transformer.wte.weight"].astype(np.float64)
        tensors = state_tensors({"a": wide, "b": wide[:], "c": wide[:8], "d": wide.copy()})
        arrays = {name: array for name, _, array in tensors}
        self.assertIs(arrays["a"], arrays["b"])
        self.assertEqual(arrays["c"].shape[0], 8)
        self.assertFalse(np.shares_memory(arrays["a"], arrays["d"]))

    def test_arrays_outlive_the_callers_names(self):
        state = {name: array.copy() for name, array in STATE.items()}
        baseline = sentinel.load_baseline_model(state_dict=state, config=CONFIG)
        del state
        junk = [np.full(1 << 16, 7.0) for _ in range(64)]
        np.testing.assert_array_equal(logits_of(baseline), self.expected)
        del junk

    def test_arrays_outlive_the_list_that_named_them(self):
        tensors = [(n, dtype, array.copy()) for n, dtype, array in state_tensors(STATE)]
        arrays = [weakref.ref(array) for _, _, array in tensors]
        core = sentinel._core.load_state_dict(json.dumps(CONFIG), tensors, b"")
        tensors.clear()
        self.assertTrue(all(array() is not None for array in arrays))
        del core
        self.assertTrue(all(array() is None for array in arrays))

    def test_model_object(self):
        baseline = sentinel.load_baseline_model(Model())
        self.assertTrue(baseline.has_tokenizer)  # from where the model came
        np.testing.assert_array_equal(logits_of(baseline), self.expected)
        model = sentinel.load_adaptive_model(baseline_model=Model(), optimization_level=1)
        prompt = REFERENCE["prompts"][0]
        text = model.generate(prompt["text"], len(prompt["greedy_ids"]), temperature=0).text
        self.assertEqual(text, prompt["continuation"])

    def test_refused(self):
        for state, config, part in (
            ({}, CONFIG, "missing"),
            (STATE, None, "config"),
            (STATE, 3, "config"),
            (STATE, {**CONFIG, "model_type": "bert"}, "bert"),
            (STATE, {**CONFIG, "n_embd": 1}, "n_embd"),
            ({**STATE, "extra": np.zeros(3)}, CONFIG, "extra"),
            ({**STATE, "transformer.ln_f.bias": np.zeros(3, np.float32)}, CONFIG, "shape"),
            ({**STATE, "transformer.ln_f.bias": np.zeros(256, int)}, CONFIG, "int64"),
        ):
            with self.assertRaises(sentinel.Error) as caught:
                sentinel.load_baseline_model(state_dict=state, config=config)
            self.assertIn(part, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaisesRegex(sentinel.Error, "not both"):
            sentinel.load_baseline_model(MINI, state_dict=STATE, config=CONFIG)


if __name__ == "__main__":
    unittest.main()
