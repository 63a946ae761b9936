"""Shows that each rule of check_layers.py can fail, and that what is allowed passes."""

import contextlib
import io
import shutil
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import check_layers  # noqa: E402


class CheckLayersTest(unittest.TestCase):
    def setUp(self):
        self.root = Path(tempfile.mkdtemp(prefix="check_layers_"))
        self.addCleanup(shutil.rmtree, self.root)
        self.write("src/base/error.h", "#pragma once\n")
        self.write("src/model/model.h", '#pragma once\n#include "base/error.h"\n')
        self.write("include/sentinel/model.h", "#pragma once\n#include <string>\n")
        self.write("include/sentinel/error.h", "#pragma once\n#include <string>\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def run_check(self, *options):
        output = io.StringIO()
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(io.StringIO()):
            status = check_layers.main(["--root", str(self.root), *options])
        return status, output.getvalue()

    def assert_passes(self, *options):
        status, output = self.run_check(*options)
        self.assertEqual((status, output), (0, ""))

    def assert_fails(self, text, *options):
        status, output = self.run_check(*options)
        self.assertEqual(status, 1)
        self.assertIn(text, output)

    def test_allowed_includes_pass(self):
        self.write("src/base/error.cc", '#include "sentinel/error.h"\n#include "base/error.h"\n')
        self.write("src/app/eval/eval.h", '#pragma once\n#include "model/model.h"\n')
        self.write("src/app/sweep/sweep.cc", '#include "app/eval/eval.h"\n')
        self.write("src/app/prune/prune_test.cc", '#include "app/eval/eval.h"\n')
        self.write("src/api/model.cc", '#include "sentinel/model.h"\n#include "app/eval/eval.h"\n')
        self.write("src/main.cc", '#include "cli/run.h"\n')
        self.write("src/cli/run.h", '#pragma once\n')
        self.write("src/cli/run.cc", '#include "app/eval/eval.h"\n#include <CLI/CLI.hpp>\n')
        self.assert_passes("--no-compile")

    def test_include_of_a_higher_layer_fails(self):
        self.write("src/base/bad.cc", '\n#include "model/model.h"\n')
        self.assert_fails("src/base/bad.cc:2: base includes src/model/model.h", "--no-compile")

    def test_higher_layer_named_relative_fails(self):
        self.write("src/base/bad.cc", '#include "../model/model.h"\n')
        self.assert_fails("model is a higher layer", "--no-compile")

    def test_cli_is_included_by_nobody(self):
        self.write("src/cli/options.h", "#pragma once\n")
        self.write("src/api/bad.cc", '#include "cli/options.h"\n')
        self.assert_fails("cli is a higher layer", "--no-compile")

    def test_public_header_in_a_low_layer_fails(self):
        self.write("src/model/bad.cc", '#include "sentinel/model.h"\n')
        self.assert_fails("api is a higher layer", "--no-compile")

    def test_app_folders_do_not_include_each_other(self):
        self.write("src/app/eval/eval.h", "#pragma once\n")
        self.write("src/app/prune/bad.cc", '#include "app/eval/eval.h"\n')
        self.assert_fails("src/app/prune includes src/app/eval/eval.h", "--no-compile")

    def test_third_party_in_a_public_header_fails(self):
        self.write("include/sentinel/bad.h", "#pragma once\n#include <fmt/format.h>\n")
        self.assert_fails("a public header includes fmt/format.h", "--no-compile")

    def test_unknown_layer_fails(self):
        self.write("src/extra/bad.cc", "int x;\n")
        self.assert_fails("src/extra is no known layer", "--no-compile")

    def test_heavy_header_in_an_isa_file_fails(self):
        self.write("src/kernels/x86/avx2/good.cc", "#include <immintrin.h>\n#include <cstdint>\n")
        self.assert_passes("--no-compile")
        self.write("src/kernels/pack.h", "#pragma once\n#include <vector>\n")
        self.write("src/kernels/x86/avx2/bad.cc", '#include "kernels/pack.h"\n')
        self.assert_fails("gets <vector> through src/kernels/pack.h:2", "--no-compile")

    def test_missing_pragma_once_fails(self):
        self.write("src/base/bad.h", "// #pragma once in a comment does not count\nint f();\n")
        self.assert_fails("src/base/bad.h:1: no #pragma once", "--no-compile")

    @unittest.skipUnless(shutil.which("g++"), "needs g++")
    def test_header_that_needs_another_first_fails(self):
        self.assert_passes()
        self.write("src/base/bad.h", "#pragma once\nstd::string f();\n")
        self.assert_fails("src/base/bad.h:1: does not compile alone")
        self.write("src/base/bad.h", "#pragma once\n#include <string>\nstd::string f();\n")
        self.assert_passes()

    @unittest.skipUnless(shutil.which("g++"), "needs g++")
    def test_generic_kernels_compile_after_a_vec16(self):
        self.write("src/kernels/ref/vec16.h", "#pragma once\nstruct Vec16 {};\n")
        self.write("src/kernels/generic/sum.h", "#pragma once\nvoid sum(Vec16 v);\n")
        self.assert_passes()
        self.write("src/kernels/ref/sum.h", "#pragma once\nvoid sum(Vec16 v);\n")
        self.assert_fails("src/kernels/ref/sum.h:1: does not compile alone")

    @unittest.skipUnless(shutil.which("g++"), "needs g++")
    def test_cache_notices_a_change_in_an_included_header(self):
        self.write("src/base/error.h", "#pragma once\nstruct Error {};\n")
        user = '#pragma once\n#include "base/error.h"\ninline Error make() { return {}; }\n'
        self.write("src/model/model.h", user)
        self.assert_passes()
        self.write("src/base/error.h", "#pragma once\nstruct Renamed {};\n")
        self.assert_fails("src/model/model.h:1: does not compile alone")

    def test_empty_root_is_an_error(self):
        with tempfile.TemporaryDirectory() as empty:
            with contextlib.redirect_stderr(io.StringIO()):
                self.assertEqual(check_layers.main(["--root", empty]), 2)


if __name__ == "__main__":
    unittest.main()
