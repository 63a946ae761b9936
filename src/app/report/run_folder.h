// The folder of one profiler run and the files in it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/report/chart_files.h"
#include "app/report/profile_result.h"

namespace sentinel {

class RunFolder {
 public:
  // Makes OUTPUT_DIR/run_<stamp>/ (with _2, _3 ... when it is taken) and in it charts/, data/ and
  // csv_reports/. Error (usage) if the output folder cannot be made or written to.
  RunFolder(const std::filesystem::path& output_dir, const std::string& stamp,
            const std::string& prefix);

  // The folder of an earlier run, with the files of that prefix.
  static RunFolder reopen(const std::filesystem::path& folder, const std::string& prefix);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path result_file() const;

  // Writes the result file and summary.md, each whole or not at all. Error (runtime).
  void save(const ProfileResult& result) const;
  // charts/NAME.png or .svg; returns the file names. Error (runtime): as write_charts.
  std::vector<std::string> save_charts(const ProfileResult& result, ChartFormat format) const;
  // csv_reports/[PREFIX_]NAME.csv. Error (runtime).
  void save_csv(const ProfileResult& result) const;
  // traces/NAME, each whole or not at all. Error (runtime).
  void save_trace(const std::string& name, const std::string& text) const;
  bool has_trace(const std::string& name) const;

 private:
  RunFolder() = default;
  void make_parts() const;

  std::filesystem::path path_;
  std::string prefix_;
};

}  // namespace sentinel
