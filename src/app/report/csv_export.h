// Tables as CSV files.
#pragma once

#include <string>
#include <vector>

#include "app/report/export_tables.h"

namespace sentinel {

struct NamedText {
  std::string name;  // file name
  std::string text;
};

// RFC 4180 with the line ends of the old tools (\n); numbers with all their digits.
std::string to_csv(const ReportTable& table);

// `sentinel export`: BASE_<section>.csv of every section of the file, and BASE_all_runs.csv.
std::vector<NamedText> export_csv(const ResultFile& file, const std::string& base);

// `sentinel profile --export_csv`: <prefix><name>.csv; summary.csv is always among them.
std::vector<NamedText> profile_csv(const ResultFile& file, const std::string& prefix = "");

}  // namespace sentinel
