// Markdown and HTML reports.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "app/report/export_findings.h"
#include "app/report/export_fixtures.h"
#include "app/report/html_export.h"
#include "app/report/markdown_export.h"
#include "app/report/xml_check.h"

namespace sentinel {
namespace {

using testing::full_result;
using testing::hostile_result;
using testing::kHostile;
using testing::python_result;
using testing::xml_problem;

constexpr const char* kDate = "2026-01-31 12:00:00";

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

size_t count(const std::string& text, const std::string& part) {
  size_t found = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

// The page without what XML does not know: doctype, void elements, style and script.
std::string as_xml(std::string html) {
  const auto cut = [&](const std::string& from, const std::string& to) {
    const size_t start = html.find(from), end = html.find(to, start);
    if (start != std::string::npos) html.erase(start, end + to.size() - start);
  };
  cut("<!DOCTYPE", ">");
  cut("<style>", "</style>");
  cut("<script>", "</script>");
  while (contains(html, "<meta")) cut("<meta", ">");
  return html;
}

TEST(MarkdownExport, SectionsOfThePythonFile) {
  const std::string text = export_markdown(python_result(SENTINEL_SOURCE_DIR), "base", kDate);
  EXPECT_TRUE(text.starts_with("# Profiling Results: base\n\nGenerated on: 2026-01-31 12:00:00\n"));
  EXPECT_TRUE(contains(text,
                       "## Pruning Comparison\n\n| Model Type | Pruning Level | Tokens per "
                       "Second | Mean Generation Time (s) |"));
  EXPECT_TRUE(contains(text, "## Model Loading\n"));
  EXPECT_FALSE(contains(text, "## Optimization Levels"));
  EXPECT_TRUE(contains(text, "Best pruning level"));
  EXPECT_TRUE(contains(text, "measured one model twice"));
}

// Headings that other tools read in CSV files, but that say too little.
TEST(Exports, HeadingsSayWhatFiguresAre) {
  const ResultFile file = full_result(SENTINEL_SOURCE_DIR);
  for (const std::string& text :
       {export_markdown(file, "base", kDate), export_html(file, "base", kDate)}) {
    EXPECT_TRUE(contains(text, "OVERALL: s per token"));
    EXPECT_TRUE(contains(text, "Memory of the Whole Process (MB)"));
    EXPECT_TRUE(contains(text, "Weights (MB)"));
    EXPECT_FALSE(contains(text, "CPU Memory (MB)"));
  }
}

TEST(MarkdownExport, EveryRowHasItsColumns) {
  for (const auto& file : {full_result(SENTINEL_SOURCE_DIR), hostile_result()}) {
    const std::string text = export_markdown(file, kHostile, kDate);
    size_t columns = 0;
    for (size_t start = 0; start < text.size();) {
      const size_t end = std::min(text.find('\n', start), text.size());
      const std::string line = text.substr(start, end - start);
      start = end + 1;
      if (!line.starts_with("|")) {
        columns = 0;
        continue;
      }
      const size_t bars = count(line, "|") - count(line, "\\|");
      if (columns == 0) columns = bars;
      EXPECT_EQ(bars, columns) << line;
    }
    const std::string before_code = text.substr(0, text.find("```"));  // there, text is literal
    EXPECT_FALSE(contains(before_code, "<b"));
    EXPECT_FALSE(contains(before_code, "</script"));
    EXPECT_EQ(count(text, "```"), 2u);
  }
}

TEST(HtmlExport, HoldsEverything) {
  const std::string html = export_html(full_result(SENTINEL_SOURCE_DIR), "base", kDate);
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  EXPECT_TRUE(contains(html, "<title>Profiling Report: base</title>"));
  EXPECT_TRUE(contains(html, "Generated on: 2026-01-31 12:00:00"));
  EXPECT_EQ(count(html, "<svg "), 15u);
  EXPECT_EQ(count(html, "role=\"img\""), 15u);  // each with a text alternative
  EXPECT_EQ(count(html, "<desc "), 15u);
  EXPECT_EQ(count(html, "Data of this chart"), 15u);  // and a data table
  for (const char* part :
       {"Environment", "CPU Cores", "Optimization Recommendations", "best balance",
        "Component Breakdown", "sentinel profile --", "sentinel export --input_file",
        "id=\"raw-json\"", "prefers-color-scheme:dark", "@media print", "name=\"viewport\""}) {
    EXPECT_TRUE(contains(html, part)) << part;
  }
  for (const char* part : {"src=", "<link", "@import", "url("}) {  // nothing from elsewhere
    EXPECT_FALSE(contains(html, part)) << part;
  }
  EXPECT_EQ(xml_problem(as_xml(html)), "");
}

TEST(HtmlExport, IdsAreUnique) {
  const std::string html = export_html(full_result(SENTINEL_SOURCE_DIR), "base", kDate);
  std::set<std::string> ids;
  for (size_t at = html.find(" id=\""); at != std::string::npos; at = html.find(" id=\"", at + 1)) {
    const size_t start = at + 5;
    const std::string id = html.substr(start, html.find('"', start) - start);
    EXPECT_TRUE(ids.insert(id).second) << id;
  }
  EXPECT_GT(ids.size(), 30u);
}

TEST(HtmlExport, PythonFile) {
  const std::string html = export_html(python_result(SENTINEL_SOURCE_DIR), "base", kDate);
  EXPECT_EQ(count(html, "<svg "), 2u);
  EXPECT_TRUE(contains(html, "Best pruning level"));
  EXPECT_TRUE(contains(html, "quality was not measured"));
  EXPECT_EQ(xml_problem(as_xml(html)), "");
}

TEST(HtmlExport, HostileTextsStayText) {
  const std::string html = export_html(hostile_result(), kHostile, kDate);
  EXPECT_EQ(xml_problem(as_xml(html)), "");
  EXPECT_EQ(count(html, "</script>"), 1u);
  EXPECT_FALSE(contains(html, "<b onload"));
  EXPECT_FALSE(contains(html, "<!--"));
}

TEST(Findings, SayWhatCannotBeToldApart) {
  const auto level = [](double speed) {
    return nlohmann::json{{"tokens_per_second", speed}, {"noise_percent", 4}};
  };
  const ResultFile file = read_result(
      {{"optimization_levels", {{"0", level(50)}, {"1", level(98)}, {"2", level(100)}}}}, "f");
  const auto found = findings(file);
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].choice, "level 2");
  EXPECT_TRUE(contains(found[0].reason, "; level 1 not distinguishable")) << found[0].reason;
  EXPECT_TRUE(contains(found[0].figures, "100.00 tokens/s"));
}

TEST(Findings, CommandCanBePasted) {
  EXPECT_EQ(profile_command({{"model_name", "a b"},
                             {"iterations", 3},
                             {"visualize", true},
                             {"compare_models", nullptr},
                             {"memory_profile", false},
                             {"output_prefix", ""},
                             {"x; rm -rf /", 1}}),
            "sentinel profile --iterations 3 --model_name 'a b' --visualize");
}

}  // namespace
}  // namespace sentinel
