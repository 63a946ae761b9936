#include "app/report/recommend.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "app/report/noise_text.h"

namespace sentinel {
namespace {

using Runs = std::vector<const RunResult*>;

double perplexity_ratio(const RunResult& run) {
  return 1 + run.quality->perplexity_delta_percent / 100;
}

// What the speed costs is in every pick; a loss that few would take for it is said at once.
std::string warning_for(const RunResult& run, double speedup) {
  const double loss = run.quality->perplexity_delta_percent;
  if (!(loss > kLargeLossPercent)) return "";
  return fmt::format(
      "Not advised as it is: perplexity is {:.1f} times the dense original's for {:.2f} times the "
      "speed; prune less, or refit what stays (sentinel prune --recover refit)",
      1 + loss / 100, speedup);
}

// What the speeds of two runs must differ by to differ at all, percent; NaN: unknown.
using Noise = std::function<double(const RunResult& a, const RunResult& b)>;

using Score = std::function<double(const RunResult& run)>;

struct Choice {
  const RunResult* top = nullptr;  // of the highest score
  const RunResult* run = nullptr;  // the one of best quality among those within its noise
};

Choice best(const Runs& runs, const Score& score, const Noise& noise) {
  if (runs.empty()) return {};
  const auto by_score = [&](auto* a, auto* b) { return score(*a) < score(*b); };
  const RunResult* top = *std::max_element(runs.begin(), runs.end(), by_score);
  const RunResult* chosen = top;
  for (const RunResult* run : runs) {
    const double behind = 100 * (score(*top) / score(*run) - 1);
    if (behind <= noise(*top, *run) && perplexity_ratio(*run) < perplexity_ratio(*chosen)) {
      chosen = run;
    }
  }
  return {top, chosen};
}

// Behind the reason of a pick that gave way to another's quality.
std::string gave_way(const Choice& choice, const Score& score, const Noise& noise) {
  if (choice.run == choice.top) return "";
  const RunResult& top = *choice.top;
  return fmt::format(
      "; {} at {} % pruning, level {}, is {:.1f} % ahead, within the noise ({}), at {:+.2f} % of "
      "perplexity",
      top.variant, top.pruning_level, top.level, 100 * (score(top) / score(*choice.run) - 1),
      noise_text(noise(top, *choice.run)), top.quality->perplexity_delta_percent);
}

}  // namespace

std::vector<Pick> recommend(const ProfileResult& result) {
  const RunResult* dense = nullptr;
  if (auto it = result.original.find(0); it != result.original.end()) dense = &it->second;
  if (!dense && result.aa_first) dense = &*result.aa_first;
  Runs all, tracked;
  const auto add = [&](const RunResult& run) {
    if (!run.quality || !std::isfinite(tokens_per_second(run))) return;
    all.push_back(&run);
    if (run.variant == "optimized" && run.agency != "off") tracked.push_back(&run);
  };
  for (const auto& [level, run] : result.original) add(run);
  for (const auto& [level, run] : result.optimized) add(run);
  for (const auto& [level, run] : result.levels) add(run);
  std::vector<Pick> picks;
  if (!dense || all.empty()) return picks;

  const double aa = aa_difference_percent(result);
  const Noise noise = [&](const RunResult& a, const RunResult& b) {
    const double pair = pair_noise_percent(result, a, b);
    return std::isnan(pair) ? pair : std::fmax(pair, aa);  // the A/A row alone is no measure
  };
  const Score speed = [](const RunResult& run) { return tokens_per_second(run); };
  const Score balance = [](const RunResult& run) {
    return tokens_per_second(run) / perplexity_ratio(run);
  };
  const Choice with_agency = best(tracked, speed, noise), balanced = best(all, balance, noise);
  // What gives way for quality must not fall behind another pick: "fastest" is read as it stands.
  Runs fast = all;
  std::erase_if(fast, [&](const RunResult* run) {
    return speed(*run) < speed(*balanced.run) ||
           (with_agency.run && speed(*run) < speed(*with_agency.run));
  });
  const auto pick = [&](const char* title, const std::string& reason, const Choice& choice,
                        const Score& score) {
    if (!choice.run) return;
    const RunResult& run = *choice.run;
    const double speedup = speed(run) / speed(*dense);
    picks.push_back({title, run.variant, run.pruning_level, run.level, speed(run), speedup,
                     noise(run, *dense), run.quality, reason + gave_way(choice, score, noise),
                     warning_for(run, speedup)});
  };
  pick("fastest", "most tokens per second, prompt included; ties within the noise go to quality",
       best(fast, speed, noise), speed);
  pick("best with agency", "the fastest that tracks its heads", with_agency, speed);
  pick("best balance", "most speed per perplexity: speed-up / perplexity ratio", balanced, balance);
  return picks;
}

}  // namespace sentinel
