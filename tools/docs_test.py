"""Keeps the documents true: links lead somewhere, and README lists the packages that are installed."""

import re
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")


def packages(name):
    """{package: reason} of a list in scripts/."""
    lines = (ROOT / "scripts" / name).read_text("utf-8").splitlines()
    rows = [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]
    return {row[0]: row[1].strip() for row in rows}


class DocsTest(unittest.TestCase):
    def test_relative_links_lead_to_files(self):
        documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
        self.assertGreater(len(documents), 3)
        for document in documents:
            for target in LINK.findall(document.read_text("utf-8")):
                if re.match(r"[a-z]+:|#", target):
                    continue
                with self.subTest(document=document.name, target=target):
                    self.assertTrue((document.parent / target.split("#")[0]).exists())

    def test_every_package_has_a_reason(self):
        for name in ("packages.txt", "packages-dev.txt"):
            for package, reason in packages(name).items():
                with self.subTest(package=package):
                    self.assertGreater(len(reason), 5)

    def test_readme_lists_the_packages(self):
        readme = (ROOT / "README.md").read_text("utf-8")
        table = readme.split("| package | reason |", 1)[1].split("\n\n", 1)[0]
        listed = dict(re.findall(r"^\| `([a-z0-9.+-]+)` \| (.+?) \|$", table, re.MULTILINE))
        self.assertEqual(listed, packages("packages.txt"))


if __name__ == "__main__":
    unittest.main()
