#include "app/report/profile_result.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>

#include "base/statistics.h"
#include "model/model.h"

namespace sentinel {
namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

int median_tokens(const RunResult& run) {
  if (run.tokens_generated.empty()) return 0;
  std::vector<double> counts(run.tokens_generated.begin(), run.tokens_generated.end());
  return static_cast<int>(median(counts));
}

double rate(double amount, const std::vector<double>& times) {
  const double time = median(times);
  return time > 0 ? amount / time : kNaN;
}

// Median absolute deviation.
double mad(const std::vector<double>& values) {
  const double middle = median(values);
  std::vector<double> deviations;
  for (const double value : values) deviations.push_back(std::abs(value - middle));
  return median(deviations);
}

// 1.4826 MAD estimates sigma of many normal values; of few it is too small on average (factors:
// Croux and Rousseeuw, 1992).
double small_sample_factor(size_t n) {
  constexpr double kSmallSample[] = {1, 1, 1.196, 1.495, 1.363, 1.206, 1.200, 1.140, 1.129, 1.107};
  const auto values = static_cast<double>(n);
  return n < std::size(kSmallSample) ? kSmallSample[n] : values / (values - 0.8);
}
double robust_sigma(const std::vector<double>& values) {
  return small_sample_factor(values.size()) * 1.4826 * mad(values);
}

// |median of n normal values - true median| / (MAD / sqrt n) stays below this 95 times in 100: by
// simulation (4e5 samples of each n), which Student's t does not follow, for the MAD of few values
// is often far too small. Large n: 1.96 x 1.2533 x 1.4826.
double interval_factor(size_t n) {
  constexpr double kFew[] = {18.03, 32.29, 9.60, 9.42, 6.49, 6.56, 5.46, 5.60, 4.97, 5.07,
                             4.67,  4.78,  4.50, 4.58, 4.36, 4.44, 4.26, 4.34, 4.20};  // from 2 on
  return n - 2 < std::size(kFew) ? kFew[n - 2] : 3.642 + 11 / static_cast<double>(n);
}

// Relative sigma of one generation, from the deviations of all cells' generations from their own
// medians, which makes them smaller by the factor of as many values.
double pooled_sigma(const RunGroup& together) {
  std::vector<double> deviations;
  for (const RunResult* run : together) {
    const auto& times = run->generation_times;
    if (times.size() < 2) continue;
    const double middle = median(times), factor = small_sample_factor(times.size());
    for (const double time : times) deviations.push_back(factor * std::abs(time / middle - 1));
  }
  return 1.4826 * median(deviations);
}

template <typename Key>
void append(const std::map<Key, RunResult>& runs, RunGroup& group) {
  for (const auto& [key, run] : runs) group.push_back(&run);
}

}  // namespace

RunGroup interleaved_runs(const ProfileResult& result) {
  RunGroup group;
  append(result.original, group);
  append(result.optimized, group);
  append(result.levels, group);
  append(result.isas, group);
  append(result.components, group);
  for (const auto& [name, runs] : result.integration) append(runs, group);
  if (result.aa_first && !result.original.contains(0)) group.push_back(&*result.aa_first);
  if (result.aa_second) group.push_back(&*result.aa_second);
  return group;
}

RunGroup throughput_runs(const ProfileResult& result) {
  RunGroup group;
  for (const auto& prompt : result.throughput) group.push_back(&prompt.run);
  return group;
}

// As noise_percent. The spread of a few generations says little of one cell; interleaved cells of
// one machine are about equally noisy: their own variance counts beside that of all with as many
// degrees of freedom as both have (moderated t: Smyth, 2004; the prior's four were set by hand).
// Unlike Smyth's it never falls below that of all: a few times that happen to lie close together
// do not show a quiet cell, and a difference called real by mistake costs more than one missed.
// Times are no normal values, bursts of neighbours last for several generations: widened until the
// A/A row of 95 in 100 runs of three generations lay inside (tools/aa_check.py, a busy machine).
double moderated_noise_percent(const RunGroup& together, const RunResult& run) {
  if (run.generation_times.size() < 2 || together.size() < 2) return noise_percent(run);
  constexpr double kPrior = 4, kBursts = 1.35;
  const auto n = static_cast<double>(run.generation_times.size());
  const double all = pooled_sigma(together);
  const double own = robust_sigma(run.generation_times) / median(run.generation_times);
  const double freedom = kPrior + n - 1;
  const double sigma = std::sqrt((kPrior * all * all + (n - 1) * own * own) / freedom);
  return 100 * kBursts * student_975(freedom) * 1.2533 * std::fmax(sigma, all) / std::sqrt(n);
}

double tokens_per_second(const RunResult& run) {
  return rate(static_cast<double>(median_tokens(run)) * run.batch_size, run.generation_times);
}

double prefill_tokens_per_second(const RunResult& run) {
  return rate(static_cast<double>(run.prompt_total), run.prefill_times);
}

double decode_tokens_per_second(const RunResult& run) {
  return rate(static_cast<double>(median_tokens(run) - 1) * run.batch_size, run.decode_times);
}

double bandwidth_fraction(const RunResult& run) {
  const double steps_per_second = decode_tokens_per_second(run) / run.batch_size;
  if (!(steps_per_second > 0) || !(run.machine_bandwidth > 0)) return kNaN;
  return static_cast<double>(run.bytes_per_step) * steps_per_second / run.machine_bandwidth;
}

Percentiles step_ms(const RunResult& run) {
  return {percentile(run.step_times, 0.5) * 1e3, percentile(run.step_times, 0.9) * 1e3,
          percentile(run.step_times, 0.99) * 1e3};
}

std::optional<LevelPromise> level_promise(const ProfileResult& result, int level) {
  if (level != 2 && level != 3) return std::nullopt;
  const auto quality = [&](int of) {
    const auto run = result.levels.find(of);
    return run != result.levels.end() && run->second.quality ? run->second.quality->perplexity
                                                             : kNaN;
  };
  return LevelPromise{100 * (quality(level) / quality(0) - 1), promised_growth_percent(level)};
}

double noise_percent(const RunResult& run) {
  const auto& times = run.generation_times;
  if (times.size() < 2) return kNaN;
  const double spread = mad(times) / std::sqrt(static_cast<double>(times.size()));
  return 100 * interval_factor(times.size()) * spread / median(times);
}

double pair_noise_percent(const ProfileResult& result, const RunResult& a, const RunResult& b) {
  const RunGroup together = interleaved_runs(result);
  return std::hypot(moderated_noise_percent(together, a), moderated_noise_percent(together, b));
}

std::vector<int> outliers(const RunResult& run) {
  constexpr double kFar = 3.5;
  constexpr size_t kFewest = 4;
  std::vector<int> indices;
  const auto& times = run.generation_times;
  if (times.size() < kFewest) return indices;
  const double middle = median(times), sigma = robust_sigma(times);
  for (size_t i = 0; i < times.size(); ++i) {
    if (std::abs(times[i] - middle) > kFar * sigma) indices.push_back(static_cast<int>(i));
  }
  return indices;
}

double aa_difference_percent(const ProfileResult& result) {
  if (!result.aa_first || !result.aa_second) return kNaN;
  const double a = tokens_per_second(*result.aa_first);
  const double b = tokens_per_second(*result.aa_second);
  return 100 * std::abs(a - b) / ((a + b) / 2);
}

double difference_noise_percent(const ProfileResult& result) {
  const RunGroup together = interleaved_runs(result);
  std::vector<double> intervals;
  for (const auto* runs : {&result.original, &result.optimized}) {
    for (const auto& [percent, run] : *runs) {
      const double noise = moderated_noise_percent(together, run);
      if (std::isfinite(noise)) intervals.push_back(noise);
    }
  }
  if (intervals.empty()) return kNaN;
  return std::fmax(aa_difference_percent(result), std::sqrt(2.0) * median(intervals));
}

}  // namespace sentinel
