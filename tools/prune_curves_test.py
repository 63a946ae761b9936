#!/usr/bin/env python3
"""A kept plan is found again by the same question alone."""

import tempfile
import unittest
from argparse import Namespace
from pathlib import Path

from prune_curves import plan_file

PLAIN = {"calibration": None, "calibration_tokens": "1000", "recover": "refit,none",
         "protect": False}


def name(amount=("30", "0"), strategy="obs", **changes):
    return plan_file(Namespace(**{**PLAIN, **changes}), amount, strategy, Path("plans"))


class PlanFile(unittest.TestCase):
    def test_is_another_for_every_other_question(self):
        with tempfile.TemporaryDirectory() as folder:
            texts = [Path(folder, part, "text") for part in "ab"]
            for text in texts:
                text.parent.mkdir()
                text.write_text(str(text))
            names = [name(), name(amount=("30", "20")), name(strategy="output"),
                     name(calibration_tokens="2000"), name(recover="bias"), name(protect=True),
                     *(name(calibration=str(text)) for text in texts)]
        self.assertEqual(len(set(names)), len(names))
        self.assertEqual(name(), names[0])
        self.assertEqual(name(recover="refit"), names[0])  # the first one makes it


if __name__ == "__main__":
    unittest.main()
