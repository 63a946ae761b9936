#include "app/sweep/model_loading.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"

namespace sentinel {
namespace {

constexpr int kMostRounds = 3;

double load_once(const std::string& model, const ModelOptions& options, LoadResult& result) {
  const double start = now_s();
  const auto checkpoint = Checkpoint::open(model);
  const auto loaded = Model::create(checkpoint, options);
  const double seconds = now_s() - start;
  result.memory_bytes = loaded->info().weight_bytes;
  result.parameter_count = checkpoint->parameter_count();
  return seconds;
}

}  // namespace

LoadingResult time_loading(const std::string& model, const ModelOptions& baseline,
                           const ModelOptions& original, const ModelOptions& optimized,
                           int iterations, const std::function<void(int done, int total)>& progress,
                           const std::atomic<bool>* cancel) {
  LoadingResult result;
  result.first_open_time = load_once(model, baseline, result.baseline);
  const struct {
    const ModelOptions& options;
    LoadResult& result;
  } kinds[] = {
      {baseline, result.baseline}, {original, result.original}, {optimized, result.optimized}};
  const int rounds = std::min(iterations, kMostRounds);
  for (int round = 0; round < rounds; ++round) {
    for (int kind = 0; kind < 3; ++kind) {
      throw_if_set(cancel);
      if (progress) progress(round * 3 + kind, rounds * 3);
      auto& load = kinds[kind].result;
      load.load_times.push_back(load_once(model, kinds[kind].options, load));
    }
  }
  return result;
}

}  // namespace sentinel
