"""Shows that each rule of check_sizes.py can fail, and that its C++ scan finds the right ends."""

import contextlib
import io
import shutil
import sys
import tempfile
import textwrap
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import check_sizes  # noqa: E402


def function_of(lines, head="void f()"):
    return f"{head} {{\n" + "  x();\n" * (lines - 2) + "}\n"


class CcFunctionsTest(unittest.TestCase):
    def lengths(self, text):
        return [(n, l) for n, _, l in check_sizes.cc_functions(textwrap.dedent(text))]

    def test_functions_in_namespaces_and_classes(self):
        text = """\
            namespace a::b {
            struct S : Base<int> {
              S(int x) : x_(x) {}
              int get() const noexcept {
                return x_;
              }
              int x_ = 0;
            };
            template <typename T, class U = std::vector<T>>
            auto g(T t) -> U
            {
              if (t) { return {}; }
              auto f = [&](int y) { return y; };
              for (int i = 0; i < 3; ++i) {
              }
            }
            }  // namespace
            """
        self.assertEqual(self.lengths(text), [("S", 1), ("get", 3), ("g", 8)])

    def test_braces_in_text_and_comments_do_not_count(self):
        text = """\
            void f() {
              puts("}");  // }
              char c = '}'; /* } */ int n = 1'000;
              auto r = R"x( } ")x";
            #define OPEN {
            }
            TEST(Suite, Name) {
            }
            """
        self.assertEqual(self.lengths(text), [("f", 6), ("TEST", 2)])

    def test_line_of_the_head_is_reported(self):
        text = "int a;\n\nstatic int\nf(int x,\n  int y) {\n  return x;\n}\n"
        self.assertEqual(check_sizes.cc_functions(text), [("f", 3, 5)])


class CheckSizesTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="check_sizes_"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("src/base/good.cc", function_of(60))

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    def run_check(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            status = check_sizes.main(["--root", str(self.root)])
        return status, output.getvalue()

    def assert_fails(self, text):
        status, output = self.run_check()
        self.assertEqual(status, 1)
        self.assertIn(text, output)

    def test_what_is_allowed_passes(self):
        self.write("src/base/long.cc", "int x;\n" * 500)
        self.write("build/huge.cc", "int x;\n" * 5000)
        self.write("tests/data/reference.json", "/wo" + "rk/x")
        self.write("docs/photo.txt", b"\xff\xfe\x00")
        self.assertEqual(self.run_check(), (0, ""))

    def test_long_file_fails(self):
        self.write("src/base/bad.h", "int x;\n" * 501)
        self.assert_fails("src/base/bad.h:1: 501 lines")

    def test_long_function_warns_then_fails(self):
        self.write("src/base/bad.cc", function_of(61))
        status, output = self.run_check()
        self.assertEqual(status, 0)
        self.assertIn("warning: src/base/bad.cc:1: f has 61 lines", output)
        self.write("src/base/bad.cc", "int a;\n" + function_of(91))
        self.assert_fails("src/base/bad.cc:2: f has 91 lines")

    def test_long_python_function_fails(self):
        self.write("tools/bad.py", "def f():\n" + "    x()\n" * 91)
        self.assert_fails("tools/bad.py:1: f has 92 lines")

    def test_open_notes_fail(self):
        for word in ("TO" + "DO", "FIX" + "ME"):
            with self.subTest(word):
                self.write("src/base/bad.cc", f"int a;\n// {word}: later\n")
                self.assert_fails("src/base/bad.cc:2: open note")

    def test_machine_paths_fail(self):
        for name in ("scripts/bad", "docs/bad.md", "src/base/bad.cc"):
            for path in ("/wo" + "rk/x", "/ho" + "me/someone"):
                with self.subTest(name=name, path=path):
                    self.write(name, f"// see {path}\n")
                    self.assert_fails(f"{name}:1: path of one machine")
                    (self.root / name).unlink()

    def test_relative_folders_of_that_name_pass(self):
        self.write("docs/good.md", "see ./wo" + "rk/x and ~/ho" + "me/x and build/wo" + "rk/x\n")
        self.assertEqual(self.run_check(), (0, ""))

    def test_empty_root_is_an_error(self):
        with tempfile.TemporaryDirectory() as empty:
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(check_sizes.main(["--root", empty]), 2)


if __name__ == "__main__":
    unittest.main()
