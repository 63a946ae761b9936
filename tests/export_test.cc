// sentinel export as a user runs it.
#include <cstdlib>

#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

const std::string kFull = std::string(SENTINEL_SOURCE_DIR) + "/tests/data/full_result.json";
const std::string kPython = std::string(SENTINEL_SOURCE_DIR) + "/tests/data/python_result.json";

std::vector<std::string> export_of(const std::string& input, const std::string& folder,
                                   std::vector<std::string> more = {}) {
  std::vector<std::string> words = {"export", "--input_file", input, "--output_dir", folder};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

size_t files_in(const fs::path& folder) {
  size_t count = 0;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    count += entry.is_regular_file();
  }
  return count;
}

TEST(Export, AllFormatsOfBothSystems) {
  for (const std::string& input : {kFull, kPython}) {
    for (const char* format : {"svg", "png", "pdf"}) {
      const TemporaryFolder folder;
      const Outcome outcome = run(
          export_of(input, folder / "out",
                    {"--format", "all", "--create_charts", "--chart_format", format, "--json"}));
      ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
      const auto files = outcome.json().at("files");
      EXPECT_EQ(files.size(), files_in(folder / "out"));
      for (const auto& file : files) EXPECT_GT(fs::file_size(file.get<std::string>()), 20u);
      const std::string base = folder / ("out/" + fs::path(input).stem().string());
      for (const std::string& name :
           {std::string("_pruning_comparison.csv"), std::string("_model_loading.csv"),
            std::string("_report.md"), std::string("_report.html"),
            std::string("_charts/pruning_comparison.") + format,
            std::string("_charts/model_loading.") + format}) {
        EXPECT_TRUE(fs::exists(base + name)) << base + name;
      }
    }
  }
}

// By Debian's tidy, which knows HTML 5: no error and no warning; scripts/packages need not have it.
TEST(Export, HtmlIsValidAndEveryChartHasAnAlternativeAndItsData) {
  if (std::system("tidy -v >/dev/null 2>&1") != 0) GTEST_SKIP() << "tidy is not installed";
  for (const std::string& input : {kFull, kPython}) {
    const TemporaryFolder folder;
    ASSERT_EQ(run(export_of(input, folder.path().string(), {"--format", "html"})).exit_code, 0);
    const std::string page = folder / (fs::path(input).stem().string() + "_report.html");
    const std::string log = folder / "log";
    const std::string command = "tidy -q -e -utf8 '" + page + "' >/dev/null 2>'" + log + "'";
    EXPECT_EQ(std::system(command.c_str()), 0) << read_all(log);
    const std::string html = read_all(page);
    const auto count = [&](const std::string& text) {
      size_t n = 0;
      for (size_t at = 0; (at = html.find(text, at)) != std::string::npos; ++at) ++n;
      return n;
    };
    EXPECT_GE(count("<svg"), 2U);
    EXPECT_EQ(count("<svg"), count("role=\"img\""));
    EXPECT_EQ(count("<svg"), count("Data of this chart"));
  }
}

TEST(Export, FormatsAndSpellings) {
  const TemporaryFolder folder;
  const auto exported = [&](const std::vector<std::string>& more) {
    const std::string out = folder / std::to_string(files_in(folder.path()));
    EXPECT_EQ(run(export_of(kPython, out, more)).exit_code, 0);
    return files_in(out);
  };
  EXPECT_EQ(exported({"--format", "csv"}), 3u);
  EXPECT_EQ(exported({"--format=markdown"}), 1u);
  EXPECT_EQ(exported({"--format", "html"}), 1u);
  EXPECT_EQ(exported({}), 5u);  // all, without charts
  const Outcome kebab = run({"export", "--input-file", kPython, "--output-dir", folder / "kebab",
                             "--create-charts", "--chart-format", "svg"});
  EXPECT_EQ(kebab.exit_code, 0) << kebab.err;
  EXPECT_EQ(files_in(folder / "kebab"), 7u);
}

TEST(Export, BareFileNameWritesBesideIt) {
  const TemporaryFolder folder;
  fs::copy_file(kPython, folder / "result.json");
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  const Outcome outcome = run({"export", "--input_file", "result.json", "--format", "csv"});
  fs::current_path(before);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_TRUE(fs::exists(folder / "result_pruning_comparison.csv"));
}

TEST(Export, KeepsFilesThatAreThere) {
  const TemporaryFolder folder;
  fs::create_directories(folder / "out");
  write_all(folder / "out/python_result_report.md", "mine");
  const Outcome refused = run(export_of(kPython, folder / "out"));
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_NE(refused.err.find("--force"), std::string::npos) << refused.err;
  EXPECT_EQ(files_in(folder / "out"), 1u);  // nothing was written
  EXPECT_EQ(read_all(folder / "out/python_result_report.md"), "mine");
  EXPECT_EQ(run(export_of(kPython, folder / "out", {"--force"})).exit_code, 0);
  EXPECT_NE(read_all(folder / "out/python_result_report.md"), "mine");
}

TEST(Export, RefusesBadInput) {
  const TemporaryFolder folder;
  write_all(folder / "text.json", "not json");
  write_all(folder / "empty.json", "");
  write_all(folder / "other.json", "{\"name\": \"package\", \"version\": 1}");
  write_all(folder / "wrong.json", "{\"pruning_comparison\": {\"original\": {\"a\": {}}}}");
  write_all(folder / "deep.json", std::string(100000, '['));
  write_all(folder / "file", "");
  const std::vector<std::vector<std::string>> commands = {
      export_of(folder / "missing.json", folder / "out"),
      export_of(folder.path().string(), folder / "out"),
      export_of(folder / "text.json", folder / "out"),
      export_of(folder / "empty.json", folder / "out"),
      export_of(folder / "other.json", folder / "out"),
      export_of(folder / "wrong.json", folder / "out"),
      export_of(folder / "deep.json", folder / "out"),
      export_of(kPython, folder / "file/out"),
      export_of(kPython, folder / "out", {"--format", "word"}),
      export_of(kPython, folder / "out", {"--create_charts", "--chart_format", "gif"}),
      {"export"}};
  for (const auto& command : commands) {
    const Outcome outcome = run(command);
    EXPECT_EQ(outcome.exit_code, 2) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
    EXPECT_FALSE(fs::exists(folder / "out"));
  }
}

TEST(Export, ReadsPythonsNan) {
  const TemporaryFolder folder;
  write_all(folder / "nan.json",
            R"({"optimization_levels": {"1": {"tokens_per_second": 3.5, "first_token_time": NaN,
                "generated_text": "NaN and \"Infinity\"", "x": -Infinity}}})");
  const Outcome outcome = run(export_of(folder / "nan.json", folder / "out", {"--format", "csv"}));
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(read_all(folder / "out/nan_optimization_levels.csv"),
            "Optimization Level,Tokens per Second,First Token Time (s),CPU Memory (MB)\n1,3.5,,\n");
}

TEST(Export, MissingConverterIsNamedBeforeAnythingIsWritten) {
  const TemporaryFolder folder;
  RunOptions options;
  options.environment["PATH"] = folder / "nowhere";
  const Outcome png = run(export_of(kPython, folder / "out", {"--create_charts"}), options);
  EXPECT_EQ(png.exit_code, 1);
  EXPECT_NE(png.err.find("librsvg2-bin"), std::string::npos) << png.err;
  EXPECT_FALSE(fs::exists(folder / "out"));
  const auto svg = export_of(kPython, folder / "out", {"--create_charts", "--chart_format", "svg"});
  EXPECT_EQ(run(svg, options).exit_code, 0);
}

}  // namespace
}  // namespace sentinel::e2e
