// The tables of an exported report, built once for CSV, Markdown and HTML.
#pragma once

#include <cmath>
#include <string>
#include <variant>
#include <vector>

#include "app/report/result_file.h"

namespace sentinel {

using ReportCell = std::variant<std::monostate, double, std::string>;
// Empty: not measured.
inline ReportCell cell(double value) {
  return std::isfinite(value) ? ReportCell(value) : ReportCell();
}

struct ReportColumn {
  std::string heading;
  int decimals = 2;    // of numbers, for people; CSV has all digits
  bool extra = false;  // not a column of the CSV file, whose headings other tools rely on
  std::string clearer =
      {};  // heading for people, where the CSV file's is bound and says too little
  const std::string& shown() const { return clearer.empty() ? heading : clearer; }
};

struct ReportTable {
  std::string name;   // "pruning_comparison": part of file names
  std::string title;  // "Pruning Comparison"
  std::vector<ReportColumn> columns;
  std::vector<std::vector<ReportCell>> rows;  // each as long as `columns`
};

// Whether no cell of its rows is text; one without a value fits numbers.
bool is_numeric(const ReportTable& table, size_t column);

// The sections that the file has, in the order of a report. Extra columns without any value are
// left out.
std::vector<ReportTable> export_tables(const ResultFile& file);

// Every figure of every run of every section: one row per run.
ReportTable all_runs_table(const ResultFile& file);

// The tables of `sentinel profile --export_csv`, under the old profiler's names and headings;
// "summary" is always among them.
std::vector<ReportTable> profile_tables(const ResultFile& file);

// "1,234.5"; empty for nothing.
std::string cell_text(const ReportCell& cell, int decimals);

}  // namespace sentinel
