#include "app/prune/prune_plan.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {
using nlohmann::json;

constexpr const char* kFormat = "sentinel prune plan 1";
// How a plan came about. To replay one they are not needed, but they stay with it.
constexpr const char* kHistory[] = {"head_scores", "head_choice", "head_trials",
                                    "head_steps",  "dense_loss",  "steps"};

// {3, 4, 5, 9} -> [[3, 5], [9, 9]]: first and last of each run.
json runs(const std::vector<int>& indices) {
  json out = json::array();
  for (size_t i = 0; i < indices.size();) {
    size_t end = i + 1;
    while (end < indices.size() && indices[end] == indices[end - 1] + 1) ++end;
    out.push_back({indices[i], indices[end - 1]});
    i = end;
  }
  return out;
}

json steps_json(const std::vector<PruneStep>& steps) {
  json out = json::array();
  for (const PruneStep& step : steps) {
    json entry = {
        {"kind", step.kind}, {"layer", step.layer}, {"count", step.count}, {"loss", step.loss}};
    if (step.head >= 0) entry["head"] = step.head;
    out.push_back(std::move(entry));
  }
  return out;
}

class PlanReader {
 public:
  PlanReader(const json& plan, std::string where) : plan_(plan), where_(std::move(where)) {}

  Error broken(const std::string& what) const {
    return bad_input("{}: {}; give a plan that sentinel prune wrote", where_, what);
  }
  std::string text(const char* key) const {
    if (!plan_.contains(key)) return "";
    if (!plan_[key].is_string()) throw broken(fmt::format("\"{}\" is not a text", key));
    return plan_[key].get<std::string>();
  }
  double number(const char* key, double low, double high) const {
    if (!plan_.contains(key)) return 0;
    const json& value = plan_[key];
    if (!value.is_number() || !(value.get<double>() >= low && value.get<double>() <= high)) {
      throw broken(fmt::format("\"{}\" is not a number from {} to {}", key, low, high));
    }
    return value.get<double>();
  }
  uint64_t count(const char* key) const {
    if (!plan_.contains(key)) return 0;
    if (!plan_[key].is_number_unsigned()) throw broken(fmt::format("\"{}\" is not a count", key));
    return plan_[key].get<uint64_t>();
  }
  bool flag(const char* key) const {
    if (!plan_.contains(key)) return false;
    if (!plan_[key].is_boolean()) {
      throw broken(fmt::format("\"{}\" is neither true nor false", key));
    }
    return plan_[key].get<bool>();
  }
  int index(const json& value, int low, int n, const std::string& what) const {
    if (!value.is_number_integer() || value.get<int64_t>() < low || value.get<int64_t>() >= n) {
      throw broken(
          fmt::format("{} {} is outside {}..{}", what, printable(value.dump(), 40), low, n - 1));
    }
    return static_cast<int>(value.get<int64_t>());
  }
  std::vector<int> heads(const json& list, int n, size_t layer) const {
    const std::string what = fmt::format("layer {}: head", layer);
    if (!list.is_array()) throw broken(fmt::format("layer {}: no list of heads", layer));
    std::vector<int> out;
    for (const json& value : list) {
      out.push_back(index(value, out.empty() ? 0 : out.back() + 1, n, what));
    }
    return out;
  }
  std::vector<int> neurons(const json& list, int n, size_t layer) const {
    const std::string what = fmt::format("layer {}: neuron", layer);
    if (!list.is_array()) throw broken(fmt::format("layer {}: no list of neurons", layer));
    std::vector<int> out;
    for (const json& run : list) {
      if (!run.is_array() || run.size() != 2) {
        throw broken(fmt::format("layer {}: neurons are not pairs of first and last", layer));
      }
      const int first = index(run[0], out.empty() ? 0 : out.back() + 1, n, what);
      const int last = index(run[1], first, n, what);
      for (int j = first; j <= last; ++j) out.push_back(j);
    }
    return out;
  }

 private:
  const json& plan_;
  std::string where_;
};

}  // namespace

int PrunePlan::heads_removed() const {
  size_t n = 0;
  for (const auto& layer : layers) n += layer.heads.size();
  return static_cast<int>(n);
}

PrunePlan PrunePlan::first_steps(size_t n) const {
  PrunePlan plan = *this;
  plan.layers.assign(layers.size(), {});
  plan.steps.resize(n);
  for (const PruneStep& step : plan.steps) {
    LayerCut& cut = plan.layers[step.layer];
    if (step.head >= 0) cut.heads.push_back(step.head);
    cut.neurons.insert(cut.neurons.end(), step.neurons.begin(), step.neurons.end());
  }
  for (LayerCut& cut : plan.layers) {
    std::sort(cut.heads.begin(), cut.heads.end());
    std::sort(cut.neurons.begin(), cut.neurons.end());
  }
  return plan;
}

int64_t PrunePlan::neurons_removed() const {
  size_t n = 0;
  for (const auto& layer : layers) n += layer.neurons.size();
  return static_cast<int64_t>(n);
}

json to_json(const PrunePlan& plan, const ModelConfig& config) {
  json document = {{"format", kFormat},
                   {"model_sha256", plan.model_sha256},
                   {"strategy", plan.strategy},
                   {"ffn_strategy", plan.ffn_strategy},
                   {"recover", plan.recover},
                   {"min_ridge", plan.min_ridge},
                   {"heads_percent", plan.heads_percent},
                   {"ffn_percent", plan.ffn_percent},
                   {"round_to", plan.round_to},
                   {"protect_first", plan.protect_first},
                   {"seed", plan.seed},
                   {"calibration_sha256", plan.calibration_sha256},
                   {"calibration_tokens", plan.calibration_tokens},
                   {"heads_removed", plan.heads_removed()},
                   {"neurons_removed", plan.neurons_removed()}};
  json layers = json::array();
  for (size_t l = 0; l < plan.layers.size(); ++l) {
    const LayerCut& cut = plan.layers[l];
    layers.push_back({{"heads_kept", config.layers[l].n_heads - std::ssize(cut.heads)},
                      {"ffn_kept", config.layers[l].ffn_dim - std::ssize(cut.neurons)},
                      {"heads_removed", cut.heads},
                      {"neurons_removed", runs(cut.neurons)}});
  }
  document["layers"] = std::move(layers);
  if (!plan.head_scores.empty()) document["head_scores"] = plan.head_scores;
  if (!plan.head_choice.empty()) {
    document["head_choice"] = plan.head_choice;
    for (const HeadTrial& trial : plan.head_trials) {
      document["head_trials"].push_back({{"order", trial.order},
                                         {"loss_before_recovery", trial.loss_before},
                                         {"loss_after_recovery", trial.loss_after}});
    }
    if (!plan.head_steps.empty()) document["head_steps"] = steps_json(plan.head_steps);
  }
  if (!plan.steps.empty()) {
    document["dense_loss"] = plan.dense_loss;
    document["steps"] = steps_json(plan.steps);
  }
  if (!plan.history.empty()) document.update(json::parse(plan.history));
  return document;
}

PrunePlan read_plan(const std::filesystem::path& path, const ModelConfig& config,
                    const std::string& model_sha256) {
  json document = read_json(path);
  // What `sentinel prune --json` prints has the plan inside.
  if (document.is_object() && document.contains("plan")) document = json(document["plan"]);
  const PlanReader reader(document, path.string());
  if (!document.is_object() || reader.text("format") != kFormat) {
    throw reader.broken("not a pruning plan of this version");
  }
  PrunePlan plan;
  plan.model_sha256 = reader.text("model_sha256");
  if (plan.model_sha256 != model_sha256) {
    throw bad_input("{}: a plan for another model; make a plan for this one with --dry_run",
                    path.string());
  }
  plan.strategy = reader.text("strategy");
  plan.ffn_strategy = reader.text("ffn_strategy");
  plan.recover = reader.text("recover");
  // Plans of earlier versions don't have it.
  plan.min_ridge = std::max(kMinRidge, reader.number("min_ridge", kMinRidge, kMaxMinRidge));
  plan.heads_percent = reader.number("heads_percent", 0, 100);
  plan.ffn_percent = reader.number("ffn_percent", 0, 100);
  plan.round_to = static_cast<int>(reader.number("round_to", 1, 1 << 20));
  plan.protect_first = reader.flag("protect_first");
  plan.seed = reader.count("seed");
  plan.calibration_sha256 = reader.text("calibration_sha256");
  json history = json::object();
  for (const char* key : kHistory) {
    if (document.contains(key)) history[key] = document[key];
  }
  if (!history.empty()) plan.history = history.dump();
  const json layers = document.value("layers", json());
  if (!layers.is_array() || std::ssize(layers) != config.n_layers) {
    throw reader.broken(fmt::format("\"layers\" does not list {} layers", config.n_layers));
  }
  for (size_t l = 0; l < layers.size(); ++l) {
    if (!layers[l].is_object()) throw reader.broken(fmt::format("layer {} is no object", l));
    plan.layers.push_back(
        {reader.heads(layers[l].value("heads_removed", json()), config.layers[l].n_heads, l),
         reader.neurons(layers[l].value("neurons_removed", json()), config.layers[l].ffn_dim, l)});
  }
  return plan;
}

}  // namespace sentinel
