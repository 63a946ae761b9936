"""profile, benchmark, verify and head means from Python."""

import _thread
import json
import os
import tempfile
import threading
import time
import unittest

import numpy as np
from common import MINI, REFERENCE, VALIDATION, load

import sentinel

PROMPT = REFERENCE["prompts"][0]
SMALL = {
    "threads": 1, "pruning_levels": [0, 50], "strategy": "magnitude", "sequence_length": 8,
    "generated_tokens": 3, "iterations": 2, "warmup": 0, "max_eval_windows": 1,
    "max_footprint_mb": 0,
}


class Profile(unittest.TestCase):
    def test_result_is_the_file(self):
        stages = []
        with tempfile.TemporaryDirectory() as folder:
            result = sentinel.profile(
                MINI, output_dir=folder, optimization_level=2, **SMALL,
                on_progress=lambda progress: stages.append(progress.stage),
            )
            with open(result.result_file, encoding="utf-8") as file:
                self.assertEqual(json.load(file), result.data)
            self.assertTrue(os.path.isfile(os.path.join(result.run_folder, "summary.md")))
        self.assertFalse(result.interrupted)
        self.assertEqual(result.data["args"]["optimization_level"], 2)
        self.assertEqual(len(result.data["pruning_comparison"]["original"]["50"]["heads_pruned"]), 32)
        self.assertIn("Recommendation", str(result))
        self.assertLessEqual({"timing", "quality"}, set(stages))

    def test_keyboard_interrupt_keeps_what_was_measured(self):
        def interrupt(progress):
            if progress.stage == "timing" and progress.done == 3:
                _thread.interrupt_main()

        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(KeyboardInterrupt) as caught:
                sentinel.profile(
                    MINI, output_dir=folder, **{**SMALL, "iterations": 2000}, on_progress=interrupt
                )
            stopped = caught.exception.result
            self.assertTrue(stopped.interrupted)
            run = stopped.data["pruning_comparison"]["original"]["0"]
            self.assertGreaterEqual(len(run["generation_times"]), 1)
            self.assertLess(len(run["generation_times"]), 2000)
            self.assertTrue(os.path.isfile(stopped.result_file))

    def test_an_exception_stops_and_the_run_can_go_on(self):
        def fail(progress):
            if progress.stage == "timing" and progress.done == 3:
                raise RuntimeError("enough")

        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(RuntimeError, "enough") as caught:
                sentinel.profile(MINI, output_dir=folder, **SMALL, on_progress=fail)
            stopped = caught.exception.result
            whole = sentinel.resume_profile(stopped.run_folder)
        self.assertFalse(whole.interrupted)
        self.assertEqual(whole.run_folder, stopped.run_folder)
        for run in whole.data["pruning_comparison"]["optimized"].values():
            self.assertEqual(len(run["generation_times"]), 2)

    def test_refused(self):
        with tempfile.TemporaryDirectory() as folder:
            for options, part in (
                ({"pruning_levels": "0,many"}, "many"), ({"pruning_levels": [101]}, "101"),
                ({"iterations": 0}, "iterations"), ({"iterations": "two"}, "iterations"),
                ({"strategy": "luck"}, "luck"), ({"model_name": "no/such"}, "no/such"),
                ({"model_name": sentinel.load_baseline_model(MINI)}, "folder"),
                ({"optimization_level": 9}, "9"), ({"compare_models": "gpt2"}, "compare_models"),
            ):
                with self.assertRaises(sentinel.Error, msg=part) as caught:
                    sentinel.profile(output_dir=folder, **{**SMALL, **options})
                self.assertIn(part, str(caught.exception))
            self.assertEqual(os.listdir(folder), [])
            with self.assertRaises(sentinel.Error):
                sentinel.resume_profile(folder)


class Benchmark(unittest.TestCase):
    def test_rows(self):
        result = sentinel.benchmark(
            sentinel.load_baseline_model(MINI), n_prompt=16, n_gen=(2, 4), threads=1,
            repetitions=2, heads_closed=[0, 50],
        )
        self.assertEqual([row["test"] for row in result.rows], ["pp16", "tg2", "tg4"] * 2)
        self.assertEqual([row["heads_active"] for row in result.rows], [64] * 3 + [32] * 3)
        for row in result.rows:
            self.assertEqual(len(row["samples_ts"]), 2)
            self.assertGreater(row["avg_ts"], 0)
        self.assertEqual(json.loads(result.json), result.data)

    def test_keyboard_interrupt_without_a_callback(self):
        timer = threading.Timer(0.5, _thread.interrupt_main)
        timer.start()
        start = time.monotonic()
        with self.assertRaises(KeyboardInterrupt) as caught:
            sentinel.benchmark(MINI, n_prompt=8, n_gen=2, threads=1, repetitions=100000)
        self.assertLess(time.monotonic() - start, 60)
        self.assertTrue(caught.exception.result.interrupted)

    def test_other_python_code_runs_meanwhile(self):
        ticks = []
        stop = threading.Event()

        def tick():
            while not stop.wait(0.001):
                ticks.append(time.monotonic())

        thread = threading.Thread(target=tick)
        thread.start()
        start = time.monotonic()
        sentinel.benchmark(MINI, n_prompt=0, n_gen=16, threads=1, repetitions=3)
        end = time.monotonic()
        stop.set()
        thread.join()
        self.assertGreater(sum(start < moment < end for moment in ticks), 10)

    def test_refused(self):
        for options in ({"n_prompt": 10**6}, {"n_gen": "x"}, {"agency": "perhaps"}, {"batch": 0}):
            with self.assertRaises(sentinel.Error, msg=repr(options)) as caught:
                sentinel.benchmark(MINI, **options)
            self.assertEqual(caught.exception.kind, "usage")


class Verify(unittest.TestCase):
    def test_text_is_the_dense_models(self):
        model = load(1, baseline_integration="verify", draft_length=4)
        model.prune(30)
        result = model.generate(PROMPT["text"], len(PROMPT["greedy_ids"]), temperature=0)
        self.assertEqual(result.tokens, PROMPT["greedy_ids"])
        self.assertEqual(model.info["baseline_integration"], "verify")
        verification = result.verification
        self.assertLess(verification.baseline_passes, verification.steps)
        self.assertEqual([d.name for d in verification.drafters], ["ngram", "model"])
        report = model.get_agency_report()
        self.assertEqual((report["unet_connections"], report["baseline_integration"]), ({}, {}))
        np.testing.assert_array_equal(model.forward([1, 2, 3]), load(1).forward([1, 2, 3]))
        self.assertIsNone(load(1).generate("Once", 2).verification)

    def test_a_pruned_model_drafts_for_the_model_in_memory(self):
        dense = sentinel.load_baseline_model(MINI)
        small = dense.prune(heads=30, strategy="magnitude", recover="none")
        model = sentinel.load_adaptive_model(
            small, optimization_level=1, baseline_integration="verify", integration_baseline=dense
        )
        expected = load(1).generate("Once", 12, seed=3).tokens
        self.assertEqual(model.generate("Once", 12, seed=3).tokens, expected)
        self.assertEqual(model.info["heads"], 45)

    def test_head_means(self):
        with tempfile.TemporaryDirectory() as folder:
            stats = os.path.join(folder, "stats")
            dense = sentinel.load_baseline_model(MINI)
            with self.assertRaisesRegex(sentinel.Error, "nothing to remove"):
                dense.prune(strategy="magnitude", recover="none")
            dense.prune(heads=10, strategy="output", recover="none", save_stats=stats,
                        calibration_text=VALIDATION[:20000])
            with_means = load(1, head_means=stats)
        plain = load(1)
        self.assertTrue(with_means.info["head_means"])
        quality = []
        for model in (with_means, plain):
            model.prune(30)
            quality.append(model.evaluate(VALIDATION, max_windows=2).perplexity)
        self.assertLess(quality[0], quality[1])

    def test_refused(self):
        for options in (
            {"baseline_integration": "blend"}, {"draft_length": 2}, {"head_means": "no/such"},
            {"baseline_integration": "verify", "draft_weights": "int2"},
        ):
            with self.assertRaises(sentinel.Error, msg=repr(options)):
                load(1, **options)


if __name__ == "__main__":
    unittest.main()
