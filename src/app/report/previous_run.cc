#include "app/report/previous_run.h"

#include <fmt/format.h>

#include <cmath>
#include <set>
#include <vector>

#include "app/report/profile_result.h"
#include "app/report/result_file.h"
#include "base/error.h"
#include "base/json_numbers.h"

namespace sentinel {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// Perplexity has no noise of its own, but sums in another order round otherwise; percent.
constexpr double kRounding = 0.01;

std::vector<fs::path> result_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename().string();
    if (name.ends_with("full_model_profiling.json")) files.push_back(entry.path());
  }
  return files;
}

json argument(const json& document, const char* name) {
  if (!document.contains("args") || !document["args"].is_object()) return nullptr;
  return document["args"].value(name, json(nullptr));
}

double timestamp_of(const json& document) {
  const json time = document.value("timestamp", json(nullptr));
  return time.is_number() ? time.get<double>() : kNotMeasured;
}

// Flags that change figures; where files go and what is drawn does not.
json changed_settings(const json& before, const json& now) {
  static const std::set<std::string> kOther = {
      "output_dir", "output_prefix", "visualize",    "export_csv",    "compare_with_previous",
      "model_name", "device",        "profile_mode", "pruning_levels"};
  json names = json::array();
  for (const auto& [name, value] : now["args"].items()) {
    if (kOther.contains(name)) continue;
    if (argument(before, name.c_str()) != value) names.push_back(name);
  }
  return names;
}

// What figures must have in common for a verdict: keys of a RUN, then of the document.
constexpr const char* kSetup[] = {"/level", "/weights", "/lm_head",
                                  "/kv",    "/unet",    "/baseline_integration"};
constexpr const char* kWork[] = {"/prompt_tokens", "/batch_size", "/avg_tokens_generated",
                                 "/heads_active",  "/agency",     "/tracking_interval",
                                 "/kv_cache",      "/threads",    "/isa"};
constexpr const char* kQuality[] = {"/head_means", "/protect_first", "/heads_pruned",
                                    "/tokens_scored"};
constexpr const char* kMachine[] = {"/environment/cpu_model"};
constexpr const char* kText[] = {"/quality_protocol/text_sha256", "/quality_protocol/window",
                                 "/args/recover"};
// All three are packed by the run's threads.
constexpr const char* kLoading[] = {"/args/optimization_level", "/args/isa", "/args/threads"};
constexpr const char* kLoadingOptimized[] = {"/args/weights", "/args/lm_head"};
// Of the Python system, whose runs do not say it.
constexpr const char* kAsked[] = {"/args/sequence_length", "/args/batch_size",
                                  "/args/generated_tokens"};

// Percent, of the median of the load times; NaN where the file has none.
double loading_noise(const ResultFile& file, const std::string& name) {
  std::string key = name == "Baseline" ? "baseline" : name == "Original" ? "original" : "optimized";
  const json::json_pointer pointer("/model_loading/" + key + "_model/load_times");
  if (!file.document.contains(pointer) || !file.document[pointer].is_array()) return kNotMeasured;
  RunResult loads;
  for (const json& time : file.document[pointer]) {
    if (time.is_number()) loads.generation_times.push_back(time.get<double>());
  }
  return noise_percent(loads);
}

class Comparison {
 public:
  Comparison(const ResultFile& before, const ResultFile& now) : before_(before), now_(now) {}

  json rows() {
    for (const auto& model : now_.loading) add_loading(model);
    add_runs("pruning_comparison", before_.pruning, now_.pruning);
    add_runs("optimization_levels", before_.levels, now_.levels);
    add_throughput();
    return rows_;
  }

 private:
  // Single generations have no noise, even if the two of an A/A row were close.
  double speed_noise(double before, double now) const {
    const double pair = std::hypot(before, now);
    return std::isnan(pair) ? pair
                            : std::fmax(pair, std::fmax(before_.aa_percent, now_.aa_percent));
  }
  void add_loading(const LoadedModel& model) {
    json differ = json::array();
    add_differing("", kMachine, differ);
    add_differing("", kLoading, differ);
    if (model.name == "Optimized") add_differing("", kLoadingOptimized, differ);
    for (const auto& old : before_.loading) {
      if (old.name != model.name) continue;
      add({{"section", "model_loading"}, {"series", model.name}, {"key", nullptr}}, "load_time",
          old.load_time, model.load_time,
          std::hypot(loading_noise(before_, model.name), loading_noise(now_, model.name)), differ);
    }
  }
  void add_throughput() {
    if (before_.prompts.empty() || now_.prompts.empty()) return;
    const PromptSpeed &old = before_.prompts.back(), &now = now_.prompts.back();
    if (old.prompt != now.prompt) return;
    add({{"section", "throughput_test"}, {"series", now.prompt}, {"key", nullptr}},
        "tokens_per_second", old.tokens_per_second, now.tokens_per_second,
        speed_noise(old.noise_percent, now.noise_percent),
        speed_differs("/throughput_test/prompt_0"));
  }
  void add_runs(const char* section, const std::vector<ResultRun>& before,
                const std::vector<ResultRun>& now) {
    for (const auto& run : now) {
      const ResultRun* old = find_run(before, run.series, run.key);
      if (!old) continue;
      const double noise = speed_noise(old->noise_percent, run.noise_percent);
      const json row = {{"section", section}, {"series", run.series}, {"key", run.key}};
      const std::string path =
          fmt::format("/{}{}{}/{}", section, run.series.empty() ? "" : "/", run.series, run.key);
      add(row, "tokens_per_second", old->tokens_per_second, run.tokens_per_second, noise,
          speed_differs(path));
      add(row, "perplexity", old->perplexity, run.perplexity, kRounding, quality_differs(path));
    }
  }
  // Adds the last names of the keys below `path` that both files have and that differ.
  template <size_t N>
  void add_differing(const std::string& path, const char* const (&keys)[N], json& names) const {
    for (const char* key : keys) {
      const json::json_pointer pointer(path + key);
      if (!before_.document.contains(pointer) || !now_.document.contains(pointer)) continue;
      if (before_.document[pointer] != now_.document[pointer]) names.push_back(pointer.back());
    }
  }
  json speed_differs(const std::string& run) const {
    json names = json::array();
    add_differing(run, kSetup, names);
    add_differing(run, kWork, names);
    add_differing("", kMachine, names);
    if (before_.from_python) add_differing("", kAsked, names);
    return names;
  }
  json quality_differs(const std::string& run) const {
    json names = json::array();
    add_differing(run, kSetup, names);
    add_differing(run, kQuality, names);
    add_differing("", kText, names);
    return names;
  }
  void add(json row, const char* figure, double before, double now, double noise,
           const json& differ) {
    if (!(before > 0) || !std::isfinite(now)) return;
    const double change = 100 * (now / before - 1);
    row["figure"] = figure;
    row["previous"] = before;
    row["current"] = now;
    row["change_percent"] = change;
    row["noise_percent"] = number(noise);
    const bool known = std::isfinite(noise) && differ.empty();
    row["beyond_noise"] = known ? json(std::abs(change) > noise) : json(nullptr);
    row["not_comparable"] = differ;
    rows_.push_back(std::move(row));
  }

  const ResultFile& before_;
  const ResultFile& now_;
  json rows_ = json::array();
};

std::string joined(const json& names) {
  std::string out;
  for (const auto& name : names) {
    if (!out.empty()) out += ", ";
    out += name.get<std::string>();
  }
  return out;
}

double value_of(const json& row, const char* key) {
  return row[key].is_number() ? row[key].get<double>() : kNotMeasured;
}

}  // namespace

std::optional<fs::path> find_previous_run(const fs::path& output_dir, const json& current) {
  std::vector<fs::path> files = result_files(output_dir);
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output_dir, error)) {
    const auto more = result_files(entry.path() / "data");
    files.insert(files.end(), more.begin(), more.end());
  }
  std::optional<fs::path> newest;
  double newest_time = -1;
  for (const auto& path : files) {
    try {
      const ResultFile file = load_result_file(path);
      const json& document = file.document;
      const double time = timestamp_of(document);
      const bool same_model = argument(document, "model_name") == argument(current, "model_name");
      const bool whole = document.value("interrupted", json(false)) == json(false);
      const bool itself =
          document.value("run_folder", json("")) == current.value("run_folder", json(nullptr));
      const bool same_tests =
          argument(document, "profile_mode") == argument(current, "profile_mode") ||
          document.contains("pruning_comparison") == current.contains("pruning_comparison");
      if (!same_model || !whole || itself || !same_tests || !(time > newest_time)) continue;
      if (time > timestamp_of(current)) continue;
      newest_time = time;
      newest = path;
    } catch (const Error&) {  // another program's file, or a broken one
    }
  }
  return newest;
}

json compare_with_previous(const fs::path& previous, const json& current) {
  const ResultFile before = load_result_file(previous);
  const ResultFile now = read_result(current, "this run");
  return {{"previous_file", previous.string()},
          {"previous_timestamp", number(timestamp_of(before.document))},
          {"settings_changed", changed_settings(before.document, current)},
          {"rows", Comparison(before, now).rows()}};
}

std::string comparison_heading(const json& comparison) {
  if (comparison["previous_file"].is_null()) {
    return "No earlier run of this model with the same tests in the output folder.\n";
  }
  std::string out =
      fmt::format("Compared with {}\n", comparison["previous_file"].get<std::string>());
  const std::string names = joined(comparison["settings_changed"]);
  if (!names.empty()) out += fmt::format("Other settings than then: {}\n", names);
  return out;
}

TextTable comparison_table(const json& comparison) {
  TextTable table{{"What", "Figure", "Before", "Now", "Change", "Noise", "Verdict"}, {}};
  for (const auto& row : comparison["rows"]) {
    std::string what = row["series"].get<std::string>();
    if (row["section"] == "optimization_levels") what = "level";
    if (row["section"] == "model_loading") what = "loading " + what;
    if (row["key"].is_number()) what += " " + row["key"].dump();
    if (row["section"] == "pruning_comparison") what += " %";
    const double noise = value_of(row, "noise_percent"), change = value_of(row, "change_percent");
    std::string verdict = row["figure"] == "tokens_per_second" ? change > 0 ? "faster" : "slower"
                          : change > 0                         ? "higher"
                                                               : "lower";
    if (row["beyond_noise"].is_null()) verdict = "noise unknown";
    if (!row["not_comparable"].empty()) {
      verdict = "not comparable: other " + joined(row["not_comparable"]);
    }
    if (row["beyond_noise"] == json(false)) verdict = "no difference";
    table.rows.push_back({what, row["figure"].get<std::string>(),
                          format_number(value_of(row, "previous"), 3),
                          format_number(value_of(row, "current"), 3), format_change(change),
                          std::isfinite(noise) ? fmt::format("{:.1f} %", noise) : "-", verdict});
  }
  return table;
}

}  // namespace sentinel
