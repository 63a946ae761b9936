#include "app/sweep/resume.h"

#include <vector>

#include "app/report/profile_json_read.h"
#include "app/sweep/environment.h"
#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

fs::path result_file_in(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder / "data", error)) {
    if (entry.path().filename().string().ends_with("full_model_profiling.json")) {
      files.push_back(entry.path());
    }
  }
  if (files.size() != 1) {
    throw bad_input("--resume {}: {} in its data/; give the folder of one run, as in run_DATE_TIME",
                    printable(folder.string()),
                    files.empty() ? "no full_model_profiling.json" : "more than one result file");
  }
  return files.front();
}

void check_same(const json& earlier, const json& now, const char* key, const char* what) {
  const json then = earlier.value(key, json(nullptr));
  if (then == now.value(key, json(nullptr))) return;
  throw usage_error("--resume: the run was measured {} ({}), this is {}; profile anew", what,
                    printable(then.dump()), printable(now.value(key, json(nullptr)).dump()));
}

}  // namespace

EarlierRun open_earlier_run(const std::string& folder) {
  EarlierRun run;
  run.folder = folder;
  const fs::path file = result_file_in(run.folder);
  run.result = read_profile_result(read_json(file, size_t{1} << 30), file.string());
  try {
    run.options = options_from_args(run.result.args);
    const auto speed = run.result.environment.find("measured_bandwidth");
    if (speed != run.result.environment.end()) read_machine_speed(*speed);
  } catch (const json::exception& error) {
    throw bad_input("{}: {}; profile anew", file.string(), printable(error.what(), 120));
  } catch (const Error& error) {
    throw bad_input("{}: args: {}; profile anew", file.string(), error.what());
  }
  const json now = describe_environment(current_moment());
  check_same(run.result.environment, now, "cpu_model", "on another processor");
  check_same(run.result.environment, now, "commit", "by another build");
  return run;
}

void check_inputs(const EarlierRun& run, const json& inputs) {
  const json then = run.result.environment.value("inputs", json::object());
  for (const auto& [what, sha256] : inputs.items()) {
    if (then.is_object() && then.value(what, json(nullptr)) == sha256) continue;
    throw usage_error("--resume: the {} changed since the run was measured; profile anew", what);
  }
}

}  // namespace sentinel
