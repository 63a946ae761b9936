#include "app/report/markdown_export.h"

#include <fmt/format.h>

#include "app/report/export_findings.h"
#include "app/report/export_tables.h"
#include "base/escape.h"

namespace sentinel {
namespace {

std::string row_text(const std::vector<std::string>& cells) {
  std::string out = "|";
  for (const auto& cell : cells) out += " " + cell + " |";
  return out + "\n";
}

std::string table_text(const ReportTable& table) {
  std::vector<std::string> header, rule;
  for (size_t c = 0; c < table.columns.size(); ++c) {
    header.push_back(escape_markdown(table.columns[c].shown()));
    rule.push_back(is_numeric(table, c) ? "---:" : "---");
  }
  std::string out = row_text(header) + row_text(rule);
  for (const auto& row : table.rows) {
    std::vector<std::string> cells;
    for (size_t c = 0; c < row.size(); ++c) {
      cells.push_back(escape_markdown(cell_text(row[c], table.columns[c].decimals)));
    }
    out += row_text(cells);
  }
  return out;
}

}  // namespace

std::string export_markdown(const ResultFile& file, const std::string& base,
                            const std::string& generated_on) {
  std::string out = fmt::format("# Profiling Results: {}\n\nGenerated on: {}\n\n",
                                escape_markdown(base), generated_on);
  for (const auto& note : notes(file)) out += "> " + escape_markdown(note) + "\n\n";
  if (const auto rows = environment_rows(file); !rows.empty()) {
    out += "## Environment\n\n" + row_text({"Property", "Value"}) + row_text({"---", "---"});
    for (const auto& [name, value] : rows) {
      out += row_text({escape_markdown(name), escape_markdown(value)});
    }
    out += "\n";
  }
  if (const auto found = findings(file); !found.empty()) {
    out += "## Optimization Recommendations\n\n";
    for (const Finding& finding : found) {
      out += fmt::format("- **{}**: {}; {} (chosen by: {})\n", escape_markdown(finding.title),
                         escape_markdown(finding.choice), escape_markdown(finding.figures),
                         escape_markdown(finding.reason));
    }
    out += "\n";
  }
  for (const ReportTable& table : export_tables(file)) {
    out += "## " + table.title + "\n\n" + table_text(table) + "\n";
  }
  out += "## Reproduce\n\n";
  std::string commands = export_command(file);
  if (file.document.contains("args")) {
    const std::string profile = profile_command(file.document["args"]);
    if (!profile.empty()) commands = profile + "\n" + commands;
  }
  return out + markdown_code_block(commands) + "\n";
}

}  // namespace sentinel
