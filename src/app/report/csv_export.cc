#include "app/report/csv_export.h"

#include <fmt/format.h>

#include "base/escape.h"

namespace sentinel {
namespace {

std::string csv_cell(const ReportCell& cell) {
  if (const auto* text = std::get_if<std::string>(&cell)) return escape_csv(*text);
  if (const auto* number = std::get_if<double>(&cell)) return fmt::format("{}", *number);
  return "";
}

}  // namespace

std::string to_csv(const ReportTable& table) {
  std::string out;
  for (const auto& column : table.columns) {
    if (column.extra) continue;
    out += (out.empty() ? "" : ",") + escape_csv(column.heading);
  }
  out += '\n';
  for (const auto& row : table.rows) {
    bool first = true;
    for (size_t c = 0; c < row.size(); ++c) {
      if (table.columns[c].extra) continue;
      out += (first ? "" : ",") + csv_cell(row[c]);
      first = false;
    }
    out += '\n';
  }
  return out;
}

std::vector<NamedText> export_csv(const ResultFile& file, const std::string& base) {
  std::vector<NamedText> files;
  for (const ReportTable& table : export_tables(file)) {
    files.push_back({fmt::format("{}_{}.csv", base, table.name), to_csv(table)});
  }
  const ReportTable runs = all_runs_table(file);
  if (!runs.rows.empty()) files.push_back({base + "_all_runs.csv", to_csv(runs)});
  return files;
}

std::vector<NamedText> profile_csv(const ResultFile& file, const std::string& prefix) {
  std::vector<NamedText> files;
  for (const ReportTable& table : profile_tables(file)) {
    files.push_back({prefix + table.name + ".csv", to_csv(table)});
  }
  return files;
}

}  // namespace sentinel
