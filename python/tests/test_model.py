"""The module as a user has it: levels, logits, text, heads, errors."""

import copy
import hashlib
import math
import os
import pickle
import tempfile
import unittest
from unittest import mock

import numpy as np
from common import MINI, REFERENCE, VALIDATION, load, read_safetensors

import sentinel


class Levels(unittest.TestCase):
    def test_argument_wins_over_environment_over_default(self):
        baseline = sentinel.load_baseline_model(str(MINI))
        with mock.patch.dict(os.environ):
            os.environ.pop("OPTIMIZATION_LEVEL", None)
            self.assertEqual(sentinel.load_adaptive_model(baseline).optimization_level, 1)
            os.environ["OPTIMIZATION_LEVEL"] = "2"
            model = sentinel.load_adaptive_model(baseline_model=baseline)
            self.assertEqual(model.optimization_level, 2)
            self.assertEqual(model.info["weights"], "int8")
            model = sentinel.load_adaptive_model(baseline_model=baseline, optimization_level=0)
            self.assertEqual(model.optimization_level, 0)
            os.environ["OPTIMIZATION_LEVEL"] = "high"
            with self.assertRaisesRegex(sentinel.Error, "OPTIMIZATION_LEVEL.*high"):
                sentinel.load_adaptive_model(baseline)
            self.assertEqual(
                sentinel.load_adaptive_model(baseline, optimization_level=1).optimization_level, 1
            )

    def test_a_name_is_enough(self):
        model = sentinel.load_adaptive_model(MINI, optimization_level=1, threads=1)
        self.assertEqual(model.info["threads"], 1)
        self.assertEqual(model.baseline.parameter_count, 7498240)


class Logits(unittest.TestCase):
    def test_reference_logits(self):
        expected = read_safetensors(MINI / "reference_logits.safetensors")
        for level, tolerance in ((0, 1e-4), (1, 1e-3)):
            model = load(level)
            for prompt in REFERENCE["prompts"]:
                logits = model.forward(prompt["ids"])
                self.assertEqual(logits.dtype, np.float32)
                self.assertEqual(logits.shape, (len(prompt["ids"]), 4096))
                difference = np.abs(logits[-1] - expected[prompt["logits_tensor"]]).max()
                self.assertLess(difference, tolerance)

    def test_padding_changes_nothing(self):
        model = load(1)
        long, short = [778, 306, 258], [5, 6]
        batch = model.forward([long, short + [9]], attention_mask=[[1, 1, 1], [1, 1, 0]])
        np.testing.assert_array_equal(batch[0], model.forward(long))
        np.testing.assert_array_equal(batch[1, :2], model.forward(short))
        self.assertFalse(batch[1, 2].any())
        left = model.forward([[9] + short], attention_mask=np.array([[False, True, True]]))
        np.testing.assert_array_equal(left[0, 1:], model.forward(short))
        np.testing.assert_array_equal(model.forward([long])[0], model(np.array(long, np.uint16)))

    def test_bad_ids(self):
        model = load(1)
        for bad in (
            [], [1.5], [4096], [-1], [2**31], [2**40], "text", [[1], [2, 3]], [[[1]]], None, [None],
            [[]], np.zeros((0, 3), int), list(range(513)), 3, object(),
        ):
            with self.assertRaises(sentinel.Error, msg=repr(bad)) as caught:
                model.forward(bad)
            self.assertEqual(caught.exception.kind, "usage")
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaisesRegex(sentinel.Error, "attention_mask"):
            model.forward([[1, 2]], attention_mask=[[1]])
        with self.assertRaisesRegex(sentinel.Error, "attention_mask"):
            model.forward([1, 2], attention_mask=[1, 1])


class Text(unittest.TestCase):
    def test_greedy_text_is_the_published_models(self):
        prompt = REFERENCE["prompts"][0]
        model = load(1)
        n = len(prompt["greedy_ids"])
        seen = []
        result = model.generate(
            prompt["text"], n, temperature=0, on_token=lambda token, text: seen.append((token, text))
        )
        self.assertEqual(result.tokens, prompt["greedy_ids"])
        self.assertEqual(str(result), prompt["continuation"])
        self.assertEqual([token for token, _ in seen], result.tokens)
        self.assertEqual("".join(text for _, text in seen), result.text)
        self.assertEqual(result.prompt_tokens, prompt["ids"])
        self.assertGreater(result.timings.first_token_ms, 0)
        self.assertEqual(len(result.timings.step_ns), n - 1)
        self.assertEqual(model.generate(prompt["ids"], n, temperature=0).tokens, result.tokens)
        self.assertEqual(model.baseline.decode(result.tokens), result.text)
        self.assertEqual(model.baseline.encode(prompt["text"]).tolist(), prompt["ids"])
        end = model.baseline.encode("<|endoftext|>", parse_special=True).tolist()
        self.assertEqual(len(end), 1)
        self.assertGreater(len(model.baseline.encode("<|endoftext|>")), 1)

    def test_a_speed_that_was_not_measured_is_no_zero(self):
        timings = load(1).generate("Once", 1).timings
        self.assertTrue(repr(timings).endswith("tokens/s, decode ->"), repr(timings))

    def test_stopping(self):
        model = load(1)
        prompt = REFERENCE["prompts"][0]["text"]
        result = model.generate(prompt, 24, temperature=0, stop=" house")
        self.assertEqual((result.stop_reason, result.text), ("stop", " was in the"))
        result = model.generate(prompt, 24, on_token=lambda token, text: False)
        self.assertEqual((result.stop_reason, len(result.tokens)), ("callback", 1))
        with self.assertRaises(ZeroDivisionError):
            model.generate(prompt, 24, on_token=lambda token, text: 1 // 0)
        self.assertEqual(len(model.generate(prompt, 3).tokens), 3)  # usable afterwards

    def test_seeds(self):
        model = load(1)
        first = model.generate("Once", 12)
        self.assertEqual(model.generate("Once", 12, seed=first.seed).tokens, first.tokens)

    def test_the_model_may_be_used_in_a_callback(self):
        model = load(1)
        lengths = []
        model.generate("Once", 3, on_token=lambda t, text: lengths.append(len(model.forward([t]))))
        self.assertEqual(lengths, [1, 1, 1])

    def test_bad_options(self):
        model = load(1)
        for options in (
            {"max_new_tokens": 0}, {"max_new_tokens": "many"}, {"max_new_tokens": 2**40},
            {"temperature": -1.0}, {"temperature": float("nan")}, {"top_k": -1}, {"top_p": 2.0},
            {"seed": -1}, {"stop": [1]}, {"temperature": None},
        ):
            with self.assertRaises(sentinel.Error, msg=repr(options)) as caught:
                model.generate("Once", **options)
            self.assertEqual(caught.exception.kind, "usage")
        with self.assertRaisesRegex(sentinel.Error, "context"):
            model.generate("word " * 600)


class Quality(unittest.TestCase):
    def test_perplexity(self):
        model = load(1)
        expected = REFERENCE["perplexity"]["validation.txt"]["window_nll_first20"]
        result = model.evaluate(VALIDATION, max_windows=2)
        self.assertAlmostEqual(result.nll_mean, sum(expected[:2]) / 2, delta=2e-5)
        self.assertAlmostEqual(result.perplexity, math.exp(result.nll_mean), places=6)
        self.assertEqual(result.text_sha256, hashlib.sha256(VALIDATION.encode()).hexdigest())
        self.assertIsNone(result.divergence)
        short = VALIDATION[:4000]
        self.assertEqual(model.perplexity(short), model.evaluate(short).perplexity)
        divergence = load(2).evaluate(VALIDATION, max_windows=1, against=model).divergence
        self.assertGreater(divergence.kl_mean, 0)
        with self.assertRaisesRegex(sentinel.Error, "against"):
            model.evaluate(VALIDATION, against=model)
        for other in ("a name", 3):
            with self.assertRaisesRegex(sentinel.Error, "against: expected a model"):
                model.evaluate(VALIDATION, against=other)

    def test_a_baseline_is_compared_with_as_level_1_computes_it(self):
        low = load(2)
        expected = low.evaluate(VALIDATION, max_windows=1, against=load(1)).divergence
        found = low.evaluate(VALIDATION, max_windows=1, against=low.baseline).divergence
        self.assertEqual(found.kl_mean, expected.kl_mean)
        self.assertEqual(found.perplexity_base, expected.perplexity_base)


class Heads(unittest.TestCase):
    def test_consent_is_said_outright(self):
        model = load(1)
        for vague in (None, 0, "yes"):
            with self.assertRaises(sentinel.Error):
                model.set_consent(0, 0, vague)
        self.assertTrue(model.head_status(0, 0)["consent"])
        model.set_consent(0, 0, np.bool_(False))
        self.assertFalse(model.head_status(0, 0)["consent"])

    def test_models_are_made_by_loading_and_not_copied(self):
        model = load(1)
        for call in (lambda: sentinel.BaselineModel("folder"), lambda: copy.deepcopy(model),
                     lambda: pickle.dumps(model.baseline)):
            with self.assertRaises(sentinel.Error):
                call()

    def test_report_has_every_key(self):
        model = load(1)
        self.assertTrue(model.set_head_state(0, 3, "withdrawn"))
        model.set_consent(1, 2, False)
        self.assertFalse(model.set_head_state(1, 2, "active"))
        model.generate("Once", 4)
        report = model.get_agency_report()
        self.assertLessEqual(
            {"layer_reports", "total_violations", "num_layers", "recent_reports"}, set(report)
        )
        self.assertEqual((report["total_violations"], report["num_layers"]), (1, 8))
        self.assertEqual(sorted(report["layer_reports"]), list(range(8)))
        keys = {
            "active_heads", "overloaded_heads", "misaligned_heads", "withdrawn_heads",
            "withdrawn_head_indices", "violation_count", "recent_violations",
        }
        for layer in report["layer_reports"].values():
            self.assertLessEqual(keys, set(layer))
        self.assertEqual(report["layer_reports"][0]["withdrawn_head_indices"], [3])
        (violation,) = report["layer_reports"][1]["recent_violations"]
        self.assertEqual(
            set(violation),
            {"head_idx", "layer_idx", "violation_type", "step", "gate_value", "state", "timestamp"},
        )
        self.assertEqual([r["layer"] for r in report["recent_reports"]], [3, 4, 5, 6, 7])

    def test_gates(self):
        model = load(1)
        before = model.forward([1, 2, 3])
        model.set_gate(0, 1, 0.0)
        self.assertEqual(model.get_gate_activity()[0], [0, 2, 3, 4, 5, 6, 7])
        self.assertGreater(np.abs(model.forward([1, 2, 3]) - before).max(), 1e-4)
        model.set_gate(0, 1, 1.0)
        np.testing.assert_array_equal(model.forward([1, 2, 3]), before)
        self.assertEqual(model.head_status(0, 1)["gate"], 1)
        for call in (
            lambda: model.set_gate(8, 0, 1.0), lambda: model.set_gate(0, 0, 2.0),
            lambda: model.set_head_state(0, 0, "asleep"), lambda: model.head_status(0, -1),
        ):
            with self.assertRaises(sentinel.Error):
                call()

    def test_prune_and_save(self):
        model = load(1)
        closed = model.prune(50)
        self.assertEqual(len(closed), 32)
        self.assertEqual(model.info["heads_active"], 32)
        with tempfile.TemporaryDirectory() as folder:
            model.save_pretrained(os.path.join(folder, "small"), dtype="f32")
            saved = sentinel.load_adaptive_model(os.path.join(folder, "small"))
            self.assertEqual(saved.info["heads"], 32)
            np.testing.assert_allclose(saved.forward([1, 2, 3]), model.forward([1, 2, 3]), atol=1e-4)
            with self.assertRaisesRegex(sentinel.Error, "exists"):
                model.save_pretrained(os.path.join(folder, "small"))


class Loading(unittest.TestCase):
    def test_errors(self):
        for call, kind, text in (
            (lambda: sentinel.load_baseline_model("no/such"), "bad_input", "no/such"),
            (lambda: sentinel.load_baseline_model(MINI, device="cuda"), "usage", "cuda"),
            (lambda: sentinel.load_baseline_model(3), "usage", "path"),
            (lambda: sentinel.load_baseline_model(), "usage", "give a model"),
            (lambda: load(7), "usage", "7"),
            (lambda: load("2"), "usage", "whole number"),
            (lambda: load(1, kv="int2"), "usage", "int2"),
            (lambda: load(1, threads=-2), "usage", "threads"),
        ):
            with self.assertRaises(sentinel.Error) as caught:
                call()
            self.assertEqual(caught.exception.kind, kind)
            self.assertIn(text, str(caught.exception))

    def test_wrong_types_are_named_without_signatures(self):
        model = load(1)
        for call, text in (
            (lambda: load(1, kv=None), "kv: None has the wrong type"),
            (lambda: load(1, agency="auto", recovery_period="soon"), "recovery_period: 'soon'"),
            (lambda: model.set_gate(0, 0, "x"), "gate='x'"),
            (lambda: model.set_head_state(0, "1", "active"), "head_idx='1'"),
            (lambda: model.head_status(None, 0), "layer_idx=None"),
            (lambda: model.generate("x", max_new_tokens="5"), "max_new_tokens: '5'"),
            (lambda: model.generate("x", stop=[3]), "stop: [3]"),
            (lambda: model.generate(b"abc"), "prompt: expected a text or token ids, got bytes"),
            (lambda: model.generate(None), "prompt: expected a text or token ids, got NoneType"),
            (lambda: model.generate(7), "ids: expected a sequence of token ids, got int"),
            (lambda: model.set_controller("speed", interval="x"), "interval: 'x'"),
            (lambda: model.evaluate(VALIDATION, window=1.5), "window=1.5"),
            (lambda: model.perplexity(None), "text=None"),
            (lambda: model.prune("half"), "percent='half'"),
            (lambda: model.save_pretrained("x", dtype=3), "dtype=3"),
            (lambda: model.baseline.encode(3), "text=3"),
            (lambda: model.baseline.n_heads("0"), "layer: '0'"),
            (lambda: model.baseline.prune("10"), "heads='10'"),
        ):
            with self.assertRaises(sentinel.Error, msg=text) as caught:
                call()
            self.assertEqual(caught.exception.kind, "usage")
            self.assertIn(text, str(caught.exception))
            self.assertNotIn("\n", str(caught.exception))
        with self.assertRaises(TypeError):  # the callback's own
            model.generate("x", 2, on_token=lambda token, text: text + token)

    def test_bundled(self):
        self.assertTrue(os.path.isdir(sentinel.bundled_model()))
        self.assertTrue(os.path.isfile(sentinel.bundled_text("validation")))
        self.assertEqual(sentinel.__version__, sentinel.build_info()["version"])


class Controlling(unittest.TestCase):
    def test_a_quality_goal_is_kept_and_can_be_cleared(self):
        model = load(1)
        self.assertIsNone(model.controller_report())
        text = VALIDATION[:6000]
        model.set_consent(0, 1, False)
        model.set_controller(max_perplexity_increase=2, text=text, max_windows=1)
        model.generate("The captain", max_new_tokens=4, temperature=0)
        report = model.controller_report()
        self.assertEqual(report["goal"], "quality")
        self.assertTrue(report["goal_met"])
        self.assertGreater(report["heads_closed"], 0)
        self.assertLessEqual(report["perplexity_after"], 1.02 * report["perplexity_before"])
        self.assertIn("perplexity_increase", report["moves"][0]["signal"])
        self.assertEqual(model.info["heads_active"], 63 - report["heads_closed"])
        model.clear_controller()
        self.assertEqual(model.info["heads_active"], 63)
        with self.assertRaisesRegex(sentinel.Error, "no goal"):
            model.set_controller("speed")

    def test_timing_fills_performance_stats(self):
        model = load(1)
        model.generate("The captain", max_new_tokens=4)
        self.assertNotIn("performance_stats", model.get_agency_report())
        model.set_timing(True)
        model.generate("The captain", max_new_tokens=4)
        stats = model.get_agency_report()["performance_stats"]
        self.assertGreater(stats["attention_percentage"], 0)
        self.assertGreater(stats["total_time"], stats["ffn_time"])


if __name__ == "__main__":
    unittest.main()
