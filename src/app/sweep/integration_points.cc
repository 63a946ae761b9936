#include "app/sweep/integration_points.h"

#include <fmt/format.h>

#include <cmath>

#include "app/report/noise_text.h"

namespace sentinel {
namespace {

constexpr int64_t kPointsTokens = 8192;  // of calibration text
constexpr double kWorthPercent = 1;      // of perplexity: less is nothing to build on

// What the closed form gives where nothing was removed: points that run and change nothing.
std::shared_ptr<const IntegrationWeights> neutral_weights(const ModelConfig& config) {
  const auto d = static_cast<size_t>(config.d_model);
  const FeatureMix keep_all{std::vector<float>(d, 1), std::vector<float>(d, 0),
                            std::vector<float>(d, 0)};
  auto weights = std::make_shared<IntegrationWeights>();
  for (IntegrationSet* set : {&weights->unet, &weights->mix, &weights->both}) {
    set->resize(static_cast<size_t>(config.n_layers));
    for (int l = config.n_layers / 2; l < config.n_layers; ++l) {
      IntegrationLayer& layer = (*set)[static_cast<size_t>(l)];
      if (set != &weights->unet) layer.baseline = keep_all;
      if (set != &weights->mix && skip_source(config.n_layers, l) >= 0) layer.skip = keep_all;
    }
  }
  return weights;
}

struct Configuration {
  const char* name;
  bool mix, unet;
};
constexpr Configuration kConfigurations[] = {{"optimized_all", true, true},
                                             {"opt_no_baseline", false, true},
                                             {"opt_no_unet", true, false},
                                             {"opt_minimal", false, false}};

// Level 3 with its own types; `aggressive`: a 4-bit output matrix and no agency as well.
ModelOptions cpu_options(const ModelOptions& asked, bool aggressive) {
  ModelOptions options;
  options.level = 3;
  options.threads = asked.threads;
  options.isa = asked.isa;
  options.agency = aggressive ? AgencyMode::off : asked.agency;
  if (aggressive) options.lm_head = WeightType::int4;
  return options;
}

const RunResult* find(const ProfileResult& result, const std::string& name, int level) {
  const auto runs = result.integration.find(name);
  if (runs == result.integration.end()) return nullptr;
  const auto run = runs->second.find(level);
  return run == runs->second.end() || !run->second.quality ? nullptr : &run->second;
}

// The name of something without the point that is as good, and as fast within the noise; empty:
// nothing.
std::string better_without(const ProfileResult& result, const RunResult& with, bool mix) {
  for (const auto& [name, runs] : result.integration) {
    const bool has_point =
        name == "optimized_all" || name == (mix ? "opt_no_unet" : "opt_no_baseline");
    if (has_point) continue;
    for (const auto& [level, run] : runs) {
      if (!run.quality || run.quality->perplexity > with.quality->perplexity) continue;
      const double behind = 100 * (tokens_per_second(with) / tokens_per_second(run) - 1);
      if (behind <= std::fmax(0.0, pair_noise_percent(result, run, with))) {
        return fmt::format("{} at {} % pruning", name, level);
      }
    }
  }
  return "";
}

std::string verdict(const ProfileResult& result, const char* what, bool mix) {
  const RunResult* with = find(result, mix ? "opt_no_unet" : "opt_no_baseline", kPointsPruning);
  const RunResult* without = find(result, "opt_minimal", kPointsPruning);
  if (!with || !without) return "";
  const double before = without->quality->perplexity, after = with->quality->perplexity;
  const double change = 100 * (after / before - 1);
  std::string text = fmt::format(
      "{}: at {} % pruning perplexity {:.3f} -> {:.3f} ({:+.2f} %), {:.2f} times the speed of the "
      "model without it ({}); ",
      what, kPointsPruning, before, after, change,
      tokens_per_second(*with) / tokens_per_second(*without),
      noise_text(pair_noise_percent(result, *with, *without)));
  if (change > -kWorthPercent) return text + "it does not pay: perplexity hardly falls.";
  const std::string better = better_without(result, *with, mix);
  if (better.empty()) return text + "it pays: nothing measured without it is as fast and as good.";
  return text + fmt::format("it does not pay: {} is as fast and as good.", better);
}

}  // namespace

IntegrationFitOptions points_fit_options() {
  IntegrationFitOptions options;
  options.max_tokens = kPointsTokens;
  return options;
}

PointCells::PointCells(const ProfileOptions& options, const HeadRanking& ranking,
                       const ModelConfig& config,
                       std::shared_ptr<const IntegrationWeights> fitted) {
  const ModelOptions& asked = options.model_options;
  for (const int percent : {0, kPointsPruning}) {
    const auto heads = heads_to_remove(ranking, percent);
    const auto weights = percent == 0 ? neutral_weights(config) : fitted;
    entries_.push_back({"original", original_cell(asked, percent, heads)});
    for (const Configuration& c : kConfigurations) {
      if ((c.mix && options.disable_baseline) || (c.unet && options.disable_unet)) continue;
      Cell cell = optimized_cell(asked, percent, heads);
      cell.options.mix_baseline = c.mix;
      cell.options.unet = c.unet;
      if (c.mix || c.unet) cell.options.integration = weights;
      entries_.push_back({c.name, std::move(cell)});
    }
    if (!options.cpu_specific_optimizations) continue;
    entries_.push_back(
        {"cpu_optimized_level3", optimized_cell(cpu_options(asked, false), percent, heads)});
    entries_.push_back(
        {"cpu_optimized_aggressive", optimized_cell(cpu_options(asked, true), percent, heads)});
  }
  for (Entry& entry : entries_) entry.cell.keep_text = options.save_generated_text;
}

void PointCells::restore(const ProfileResult& earlier) {
  for (Entry& entry : entries_) {
    const auto runs = earlier.integration.find(entry.configuration);
    if (runs == earlier.integration.end()) continue;
    const auto run = runs->second.find(entry.cell.pruning_level);
    if (run != runs->second.end()) entry.cell.run = run->second;
  }
}

void PointCells::append_to(std::vector<Cell*>& cells) {
  for (Entry& entry : entries_) cells.push_back(&entry.cell);
}

void PointCells::collect(ProfileResult& result) const {
  for (const Entry& entry : entries_) {
    if (!entry.cell.timed()) continue;
    result.integration[entry.configuration][entry.cell.pruning_level] = entry.cell.run;
  }
  result.integration_verdicts = point_verdicts(result);
}

std::vector<std::string> point_verdicts(const ProfileResult& result) {
  std::vector<std::string> verdicts;
  for (const bool mix : {true, false}) {
    std::string text = verdict(result, mix ? "Baseline mixing" : "U-Net skips", mix);
    if (!text.empty()) verdicts.push_back(std::move(text));
  }
  return verdicts;
}

}  // namespace sentinel
