"""The module in a process: threads, signals, memory, type stubs."""

import _thread
import gc
import importlib.util
import os
import signal
import subprocess
import sys
import threading
import unittest

from common import MINI, REFERENCE, ROOT, VALIDATION, load

import sentinel

PROMPT = REFERENCE["prompts"][0]


def rss_pages():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1])


class Threads(unittest.TestCase):
    def test_two_models_run_at_the_same_time(self):
        baseline = sentinel.load_baseline_model(MINI)
        both_run = threading.Barrier(2, timeout=60)
        results = [None, None]

        def work(index):
            model = sentinel.load_adaptive_model(baseline, optimization_level=1, threads=1)
            # Each waits inside its generation for the other: passes only if both are in one.
            first = iter([True])
            results[index] = model.generate(
                PROMPT["ids"], 16, temperature=0, on_token=lambda *_: next(first, 0) and both_run.wait()
            ).tokens

        threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [PROMPT["greedy_ids"][:16]] * 2)

    def test_other_python_code_runs_meanwhile(self):
        model = load(0)
        done = threading.Event()
        thread = threading.Thread(
            target=lambda: (model.evaluate(VALIDATION, max_windows=1), done.set())
        )
        thread.start()
        rounds = 0
        while not done.is_set() and rounds < 10:
            rounds += 1  # would not get here before the end if the GIL were held
            done.wait(0.001)
        thread.join()
        self.assertEqual(rounds, 10)

    def test_a_daemon_thread_does_not_disturb_the_end(self):
        for call in ("m.generate('Once', 400, ignore_eos=True)",
                     "m.generate('Once', 400, ignore_eos=True, on_token=lambda *_: True)",
                     "m.forward([5] * 64)"):
            script = (
                "import sys, threading, time, sentinel\n"
                f"m = sentinel.load_adaptive_model(sentinel.load_baseline_model({str(MINI)!r}))\n"
                f"work = lambda: [{call} for _ in iter(int, 1)]\n"
                "threading.Thread(target=work, daemon=True).start()\n"
                "time.sleep(0.3)\n"
            )
            done = subprocess.run([sys.executable, "-c", script], timeout=60, check=False,
                                  capture_output=True, text=True, env=dict(os.environ))
            self.assertEqual((done.returncode, done.stderr), (0, ""), call)

    def test_a_forked_child_generates_and_ends(self):
        model = load(1, threads=2)
        model.generate("Once", 4)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            same = model.generate("Once", 4, temperature=0).tokens
            del model
            os._exit(0 if len(same) == 4 else 1)
        self.assertEqual(os.waitpid(child, 0)[1], 0)

    def test_threads_that_share_a_model_take_turns(self):
        model = load(1)
        results = []
        threads = [
            threading.Thread(
                target=lambda: results.append(model.generate(PROMPT["ids"], 8, temperature=0).tokens)
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [PROMPT["greedy_ids"][:8]] * 4)


class Signals(unittest.TestCase):
    def test_keyboard_interrupt_stops_generation(self):
        model = load(0)  # slow: far from done when the signal comes

        def interrupt(token, text):
            if not interrupt.sent:
                interrupt.sent = True
                _thread.interrupt_main()

        interrupt.sent = False
        with self.assertRaises(KeyboardInterrupt):
            model.generate("Once", 400, ignore_eos=True, on_token=interrupt)
        self.assertEqual(len(model.generate("Once", 2, ignore_eos=True).tokens), 2)

    def test_without_a_callback_too(self):
        model = load(0)
        timer = threading.Timer(0.3, _thread.interrupt_main)
        timer.start()
        with self.assertRaises(KeyboardInterrupt):
            while True:
                model.generate("Once", 400, ignore_eos=True)


class Memory(unittest.TestCase):
    def test_loading_and_dropping_200_times_stays_flat(self):
        def load_and_drop():
            model = load(2)
            model.set_head_state(0, 1, "withdrawn")
            model.forward([1, 2, 3])
            model.generate("Once", 2)

        for _ in range(30):
            load_and_drop()
        gc.collect()
        before = rss_pages()
        for _ in range(200):
            load_and_drop()
        gc.collect()
        grown = (rss_pages() - before) * os.sysconf("SC_PAGESIZE")
        weights = load(2).info["weight_bytes"]
        self.assertLess(grown, weights, "one model in 200 must not stay behind")


class Stubs(unittest.TestCase):
    def test_every_public_name_is_there(self):
        for name in sentinel.__all__:
            self.assertTrue(hasattr(sentinel, name), name)
        folder = os.path.dirname(sentinel.__file__)
        self.assertTrue(os.path.isfile(os.path.join(folder, "py.typed")))

    @unittest.skipUnless(importlib.util.find_spec("mypy"), "mypy is not installed")
    def test_mypy_accepts_package_and_examples(self):
        cache = os.path.join(os.path.dirname(sentinel.__file__), "..", "mypy_cache")
        environment = {**os.environ, "MYPYPATH": str(ROOT / "python")}
        for arguments in (
            ["--strict", "-p", "sentinel"],
            ["--strict", *map(str, sorted((ROOT / "examples" / "python").glob("*.py")))],
        ):
            done = subprocess.run(
                [sys.executable, "-m", "mypy", "--cache-dir", cache, *arguments],
                env=environment, capture_output=True, text=True, cwd=ROOT / "python", check=False,
            )
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


if __name__ == "__main__":
    unittest.main()
