#include "app/report/run_folder.h"

#include "app/report/charts.h"
#include "app/report/csv_export.h"
#include "app/report/profile_json.h"
#include "app/report/summary_md.h"
#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace fs = std::filesystem;
namespace {

void check(const std::error_code& error, const fs::path& path) {
  if (!error) return;
  throw usage_error("{}: cannot make the run's folder: {}; choose another --output_dir",
                    path.string(), error.message());
}

}  // namespace

RunFolder::RunFolder(const fs::path& output_dir, const std::string& stamp,
                     const std::string& prefix)
    : prefix_(prefix) {
  ensure_writable_directory(output_dir);
  std::error_code error;
  // create_directory says false for what is there already, so that two runs never share a folder.
  for (int n = 1;; ++n) {
    path_ =
        output_dir / (n == 1 ? fmt::format("run_{}", stamp) : fmt::format("run_{}_{}", stamp, n));
    const bool made = fs::create_directory(path_, error);
    check(error, path_);
    if (made) break;
  }
  make_parts();
}

void RunFolder::make_parts() const {
  for (const char* name : {"charts", "data", "csv_reports"}) {
    std::error_code error;
    fs::create_directory(path_ / name, error);
    check(error, path_);
  }
}

RunFolder RunFolder::reopen(const fs::path& folder, const std::string& prefix) {
  RunFolder run;
  run.path_ = folder;
  run.prefix_ = prefix;
  ensure_writable_directory(folder);
  run.make_parts();
  return run;
}

fs::path RunFolder::result_file() const {
  return path_ / "data" / ((prefix_.empty() ? "" : prefix_ + "_") + "full_model_profiling.json");
}

void RunFolder::save(const ProfileResult& result) const {
  write_file_atomic(result_file(), to_text(to_json(result)));
  write_file_atomic(path_ / "summary.md", summary_markdown(result));
}

std::vector<std::string> RunFolder::save_charts(const ProfileResult& result,
                                                ChartFormat format) const {
  const ResultFile file = read_result(to_json(result), result_file().string());
  std::vector<std::string> names;
  for (const auto& path : write_charts(profile_charts(file), path_ / "charts", format)) {
    names.push_back(path.filename().string());
  }
  return names;
}

void RunFolder::save_csv(const ProfileResult& result) const {
  const ResultFile file = read_result(to_json(result), result_file().string());
  const std::string prefix = prefix_.empty() ? "" : prefix_ + "_";
  for (const auto& [name, text] : profile_csv(file, prefix)) {
    write_file_atomic(path_ / "csv_reports" / name, text);
  }
}

void RunFolder::save_trace(const std::string& name, const std::string& text) const {
  std::error_code error;
  fs::create_directory(path_ / "traces", error);
  check(error, path_);
  write_file_atomic(path_ / "traces" / name, text);
}

bool RunFolder::has_trace(const std::string& name) const {
  std::error_code error;
  return fs::exists(path_ / "traces" / name, error);
}

}  // namespace sentinel
