#include "app/report/result_file.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "app/report/profile_result.h"
#include "base/error.h"
#include "base/files.h"
#include "base/statistics.h"

namespace sentinel {
namespace {

using nlohmann::json;

constexpr RunField kRunFields[] = {
    {"tokens_per_second", "Tokens per Second", &ResultRun::tokens_per_second, 2},
    {"noise_percent", "Speed Noise (%)", &ResultRun::noise_percent, 1},
    {"avg_generation_time", "Generation Time (s)", &ResultRun::generation_time, 4},
    {"first_token_time", "First Token Time (s)", &ResultRun::first_token_time, 4},
    {"prefill_tokens_per_second", "Prefill Tokens per Second",
     &ResultRun::prefill_tokens_per_second, 1},
    {"decode_tokens_per_second", "Decode Tokens per Second", &ResultRun::decode_tokens_per_second,
     2},
    {"step_ms/p50", "Step p50 (ms)", &ResultRun::step_p50, 3},
    {"step_ms/p90", "Step p90 (ms)", &ResultRun::step_p90, 3},
    {"step_ms/p99", "Step p99 (ms)", &ResultRun::step_p99, 3},
    {"perplexity", "Perplexity", &ResultRun::perplexity, 3},
    {"perplexity_delta_percent", "Perplexity Change (%)", &ResultRun::perplexity_delta_percent, 2},
    {"kl_mean", "KL (nats)", &ResultRun::kl_mean, 4},
    {"top1_agreement", "Top-1 Agreement", &ResultRun::top1_agreement, 3},
    {"weight_bytes", "Weight Bytes", &ResultRun::weight_bytes, 0},
    {"bytes_per_step", "Bytes per Step", &ResultRun::bytes_per_step, 0},
    {"bandwidth_fraction", "Bandwidth Fraction", &ResultRun::bandwidth_fraction, 3},
    {"peak_rss_mb", "Peak RSS (MB)", &ResultRun::peak_rss_mb, 1},
    {"memory_usage/cpu/rss_mb", "CPU Memory (MB)", &ResultRun::cpu_memory_mb, 1},
    {"memory_usage/gpu/allocated_mb", "GPU Memory (MB)", &ResultRun::gpu_memory_mb, 1},
    {"heads_active", "Heads Active", &ResultRun::heads_active, 0},
    {"heads_total", "Heads", &ResultRun::heads_total, 0},
};

// A value of the document with its path, so that an error can say where it is. Missing keys and
// null give an empty node, whose children are empty too.
class Node {
 public:
  Node(const json* value, std::string file, std::string path)
      : value_(value && value->is_null() ? nullptr : value),
        file_(std::move(file)),
        path_(std::move(path)) {}

  explicit operator bool() const { return value_ != nullptr; }
  const json& value() const { return *value_; }

  Node at(const std::string& key) const {
    expect(!value_ || value_->is_object(), "an object");
    const auto* child = value_ && value_->contains(key) ? &(*value_)[key] : nullptr;
    return {child, file_, path_.empty() ? key : path_ + "." + key};
  }
  // "a/b/c"
  Node descend(std::string_view keys) const {
    Node node = *this;
    while (!keys.empty()) {
      const size_t slash = std::min(keys.find('/'), keys.size());
      node = node.at(std::string(keys.substr(0, slash)));
      keys.remove_prefix(std::min(slash + 1, keys.size()));
    }
    return node;
  }
  std::vector<std::pair<std::string, Node>> members() const {
    expect(!value_ || value_->is_object(), "an object");
    std::vector<std::pair<std::string, Node>> out;
    if (!value_) return out;
    for (const auto& item : value_->items()) out.emplace_back(item.key(), at(item.key()));
    return out;
  }
  std::vector<Node> elements() const {
    expect(!value_ || value_->is_array(), "an array");
    std::vector<Node> out;
    for (size_t i = 0; value_ && i < value_->size(); ++i) {
      out.emplace_back(&(*value_)[i], file_, fmt::format("{}[{}]", path_, i));
    }
    return out;
  }
  double number() const {
    if (!value_) return kNotMeasured;
    constexpr double kLargest = 1e18;  // beyond it is damage, and scales of charts would overflow
    expect(value_->is_number() && std::abs(value_->get<double>()) <= kLargest,
           "a number up to 1e18");
    return value_->get<double>();
  }
  int integer() const {
    const double value = number();
    expect(value == std::floor(value) && std::abs(value) < 1e9, "a whole number");
    return static_cast<int>(value);
  }
  std::string text() const {
    expect(!value_ || value_->is_string(), "a text");
    return value_ ? value_->get<std::string>() : "";
  }
  void expect(bool condition, const char* what) const {
    if (condition) return;
    throw bad_input("{}: {}: expected {}, found {}; give a result file of a profiler", file_,
                    path_.empty() ? "top level" : printable(path_), what,
                    value_ ? value_->type_name() : "nothing");
  }

 private:
  const json* value_;
  std::string file_, path_;
};

int key_number(const std::string& key, const Node& node) {
  int value = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), value);
  node.expect(error == std::errc() && end == key.data() + key.size(), "a whole number as key");
  return value;
}

// Python's files have no noise: the same interval from their samples.
double noise_of(const Node& run) {
  RunResult samples;
  for (const Node& time : run.at("generation_times").elements()) {
    samples.generation_times.push_back(time.number());
  }
  return noise_percent(samples);
}

ResultRun read_run(const Node& node, const std::string& series, int key) {
  ResultRun run;
  run.series = series;
  run.key = key;
  for (const RunField& field : kRunFields) run.*field.member = node.descend(field.key).number();
  if (!std::isfinite(run.noise_percent)) run.noise_percent = noise_of(node);
  run.weights = node.at("weights").text();
  run.isa = node.at("isa").text();
  return run;
}

// { "<number>": RUN, ... }, sorted as numbers; other keys named in `skip` are left out.
void read_runs(const Node& node, const std::string& series, std::vector<ResultRun>& out,
               const std::string& skip = "") {
  const auto first = static_cast<std::ptrdiff_t>(out.size());
  for (const auto& [key, run] : node.members()) {
    if (key == skip || !run) continue;
    out.push_back(read_run(run, series, key_number(key, run)));
  }
  std::sort(out.begin() + first, out.end(),
            [](const ResultRun& a, const ResultRun& b) { return a.key < b.key; });
}

// Of files without section "memory", which holds them all.
void read_samples(const Node& run, const std::string& series, ResultFile& file) {
  for (const Node& sample : run.at("memory_profile").elements()) {
    const double time = sample.at("timestamp").number();
    if (!std::isfinite(time)) continue;
    file.memory_samples.push_back({series, time, sample.descend("cpu/rss_mb").number(),
                                   sample.descend("gpu/allocated_mb").number()});
  }
}

void read_pruning(const Node& root, ResultFile& file) {
  const bool listed = !root.descend("memory/samples").elements().empty();
  const Node section = root.at("pruning_comparison");
  for (const char* series : {"original", "optimized"}) {
    const Node runs = section.at(series);
    read_runs(runs, series, file.pruning);
    for (const auto& [key, run] : runs.members()) {
      if (run && !listed) read_samples(run, fmt::format("{} {} %", series, key), file);
    }
  }
}

void read_integration(const Node& root, ResultFile& file) {
  auto configurations = root.at("integration_tests").members();
  std::stable_sort(configurations.begin(), configurations.end(), [](const auto& a, const auto& b) {
    return (a.first == "original") > (b.first == "original");
  });
  for (const auto& [name, runs] : configurations) read_runs(runs, name, file.integration);
}

void read_isas(const Node& root, ResultFile& file) {
  for (const auto& [isa, run] : root.at("cpu_specific").members()) {
    if (run) file.isas.push_back(read_run(run, isa, 0));
  }
}

void read_loading(const Node& root, ResultFile& file) {
  constexpr std::pair<const char*, const char*> kKinds[] = {{"baseline_model", "Baseline"},
                                                            {"original_model", "Original"},
                                                            {"optimized_model", "Optimized"}};
  for (const auto& [key, name] : kKinds) {
    const Node load = root.at("model_loading").at(key);
    if (!load) continue;
    file.loading.push_back({name, load.at("load_time").number(),
                            load.at("parameter_count").number(), load.at("memory_usage").number()});
  }
}

void read_throughput(const Node& root, ResultFile& file) {
  const Node section = root.at("throughput_test");
  std::vector<std::pair<int, PromptSpeed>> prompts;
  for (const auto& [key, node] : section.members()) {
    constexpr std::string_view kPrefix = "prompt_";
    if (!key.starts_with(kPrefix) || !node) continue;
    prompts.emplace_back(
        key_number(key.substr(kPrefix.size()), node),
        PromptSpeed{node.at("prompt").text(), node.at("tokens_per_second").number(),
                    node.at("avg_generation_time").number(), node.at("noise_percent").number()});
  }
  std::sort(prompts.begin(), prompts.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  double noise = kNotMeasured;
  for (auto& [number, prompt] : prompts) {
    noise = std::fmax(noise, prompt.noise_percent);
    file.prompts.push_back(std::move(prompt));
  }
  const Node overall = section.at("overall");
  if (!overall) return;
  const double tokens = overall.at("total_tokens").number();
  // In this row the old tool's third column is seconds per token.
  file.prompts.push_back({"OVERALL", overall.at("tokens_per_second").number(),
                          overall.at("total_time").number() / tokens, noise});
}

void read_components(const Node& root, ResultFile& file) {
  const Node section = root.at("component_breakdown");
  for (const char* series : {"original", "optimized"}) {
    const Node model = section.at(series), level = model.at("pruning_level");
    std::map<std::string, ComponentTime> by_name;
    constexpr std::pair<const char*, double ComponentTime::*> kMaps[] = {
        {"avg_times", &ComponentTime::average_ms},
        {"total_times", &ComponentTime::total_ms},
        {"percentages", &ComponentTime::percent},
        {"bytes", &ComponentTime::bytes},
        {"bytes_percentages", &ComponentTime::bytes_percent}};
    for (const auto& [key, member] : kMaps) {
      for (const auto& [name, value] : model.at(key).members()) {
        ComponentTime& component = by_name[name];
        component.series = series;
        component.pruning_level = level ? level.integer() : -1;
        component.name = name;
        component.*member = value.number();
      }
    }
    for (auto& [name, component] : by_name) file.components.push_back(std::move(component));
  }
}

void read_models(const Node& root, ResultFile& file) {
  for (const auto& [name, node] : root.at("multi_model_comparison").members()) {
    if (!node) continue;
    const Node counts = node.at("parameter_counts");
    file.models.push_back({name, node.at("model_family").text(), counts.at("baseline").number(),
                           counts.at("adaptive").number(),
                           counts.at("increase_percentage").number(),
                           node.descend("loading/optimized_model/load_time").number(),
                           read_run(node.at("inference"), name, 0)});
  }
}

// Section "memory": samples over time, and any figures beside them under their own names.
void read_memory(const Node& root, ResultFile& file) {
  const Node section = root.at("memory");
  for (const auto& [name, node] : section.members()) {
    if (node && node.value().is_number()) file.memory_figures.emplace_back(name, node.number());
  }
  for (const Node& sample : section.at("samples").elements()) {
    const Node stage = sample.at("stage");
    const double time = sample.at("timestamp").number();
    if (!std::isfinite(time)) continue;
    file.memory_samples.push_back({stage ? stage.text() : "process", time,
                                   sample.at("rss_mb").number(), sample.at("gpu_mb").number()});
  }
  std::stable_sort(file.memory_samples.begin(), file.memory_samples.end(),
                   [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  if (file.memory_samples.empty()) return;
  const double start = file.memory_samples.front().seconds;
  for (auto& sample : file.memory_samples) sample.seconds -= start;
}

void read_recommendation(const Node& root, ResultFile& file) {
  for (const Node& pick : root.at("recommendation").elements()) {
    file.recommendation.push_back(
        {pick.at("title").text(), pick.at("variant").text(), pick.at("reason").text(),
         pick.at("pruning_level").integer(), pick.at("level").integer(),
         pick.at("tokens_per_second").number(), pick.at("speedup").number(),
         pick.at("noise_percent").number(), pick.at("perplexity").number(),
         pick.at("perplexity_delta_percent").number()});
    const std::string warning = pick.at("warning").text();
    if (!warning.empty()) file.recommendation.back().reason += ". " + warning;
  }
}

void read_heads(const Node& root, ResultFile& file) {
  const Node strategy = root.at("pruning_strategy");
  file.heads.strategy = strategy.at("name").text();
  file.heads.definition = strategy.at("definition").text();
  for (const Node& layer : strategy.at("scores").elements()) {
    auto& row = file.heads.scores.emplace_back();
    for (const Node& head : layer.elements()) row.push_back(head.number());
  }
}

void read_roof(const Node& root, ResultFile& file) {
  for (const Node& point : root.descend("environment/measured_bandwidth/read").elements()) {
    const double bytes = point.at("footprint_bytes").number();
    const double rate = point.at("bytes_per_second").number();
    if (bytes > 0 && rate > 0) file.roof.read.emplace_back(bytes, rate);
  }
  std::sort(file.roof.read.begin(), file.roof.read.end());
}

// NaN, Infinity and -Infinity outside strings, which Python's json module writes, become null.
std::string without_python_literals(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out += c;
      out += text[++i];
      continue;
    }
    if (c == '"') in_string = !in_string;
    const std::string_view rest = text.substr(i);
    size_t skip = 0;
    for (const std::string_view word : {"NaN", "Infinity", "-Infinity"}) {
      if (!in_string && rest.starts_with(word)) skip = word.size();
    }
    if (skip > 0) {
      out += "null";
      i += skip - 1;
    } else {
      out += c;
    }
  }
  return out;
}

// What difference_noise_percent is for a result, also of files that do not have it; of single
// generations older versions wrote the A/A difference, which says nothing.
double rows_noise(const Node& root, const ResultFile& file) {
  std::vector<double> noises;
  for (const ResultRun& run : file.pruning) {
    if (std::isfinite(run.noise_percent)) noises.push_back(run.noise_percent);
  }
  if (noises.empty()) return kNotMeasured;
  const double written = root.descend("aa_test/rows_interval_percent").number();
  if (std::isfinite(written)) return written;
  return std::fmax(file.aa_percent, std::sqrt(2.0) * median(noises));
}

bool has_measurements(const ResultFile& file) {
  return !(file.pruning.empty() && file.levels.empty() && file.integration.empty() &&
           file.isas.empty() && file.loading.empty() && file.prompts.empty() &&
           file.components.empty() && file.models.empty() && file.memory_samples.empty() &&
           file.memory_figures.empty());
}

}  // namespace

std::span<const RunField> run_fields() { return kRunFields; }

double ResultRun::speed_low() const { return tokens_per_second / (1 + noise_percent / 100); }
double ResultRun::speed_high() const {
  return noise_percent < 100 ? tokens_per_second / (1 - noise_percent / 100) : kNotMeasured;
}

ResultFile load_result_file(const std::filesystem::path& path) {
  constexpr size_t kMaxBytes = size_t{1} << 28;
  const std::string name = path.string();
  const std::string text = read_file(path, kMaxBytes);
  if (text.empty()) throw bad_input("{}: the file is empty; profile again", printable(name));
  return read_result(parse_json(without_python_literals(text), name), name);
}

ResultFile read_result(json document, const std::string& name) {
  ResultFile file;
  file.name = name;
  file.document = std::move(document);
  const Node root(&file.document, printable(name), "");
  root.expect(file.document.is_object(), "an object");
  file.from_python = !file.document.contains("schema_version");
  if (!file.from_python && file.document["schema_version"] != kResultSchemaVersion) {
    throw bad_input(
        "{}: schema_version {} is not this version's {}; export it with the version "
        "that wrote it",
        printable(name), printable(file.document["schema_version"].dump(), 40),
        kResultSchemaVersion);
  }
  read_loading(root, file);
  read_pruning(root, file);
  read_runs(root.at("optimization_levels"), "", file.levels, "comparison");
  read_integration(root, file);
  read_isas(root, file);
  read_throughput(root, file);
  read_components(root, file);
  read_models(root, file);
  read_memory(root, file);
  read_recommendation(root, file);
  read_heads(root, file);
  read_roof(root, file);
  file.aa_percent = std::abs(root.descend("aa_test/difference_percent/tokens_per_second").number());
  file.rows_noise_percent = rows_noise(root, file);
  if (!has_measurements(file)) {
    throw bad_input(
        "{}: no measurements in it (pruning_comparison, optimization_levels, "
        "model_loading, ...); give a full_model_profiling.json",
        printable(name));
  }
  return file;
}

const ResultRun* find_run(std::span<const ResultRun> runs, const std::string& series, int key) {
  const auto it = std::find_if(runs.begin(), runs.end(), [&](const ResultRun& run) {
    return run.series == series && run.key == key;
  });
  return it == runs.end() ? nullptr : &*it;
}

}  // namespace sentinel
