#include "app/sweep/throughput.h"

#include <algorithm>

#include "base/error.h"

namespace sentinel {

void time_throughput(const CellContext& context, const Cell& cell,
                     const std::vector<Prompt>& prompts, int batch, int warmup, int iterations,
                     const CellProgress& progress, std::vector<ThroughputResult>& results) {
  std::vector<Cell> cells(prompts.size(), cell);
  const auto keep = [&] {
    results.clear();
    for (size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].timed()) results.push_back({prompts[i].text, cells[i].run});
    }
  };
  const int n_prompts = static_cast<int>(prompts.size());
  const int rounds = warmup + std::max(iterations, kThroughputMinRounds);
  CellContext own = context;
  own.work.generated_tokens = kThroughputTokens;
  try {
    for (int round = 0; round < rounds; ++round) {
      for (int i = 0; i < n_prompts; ++i) {
        if (context.cancel && *context.cancel) throw Error(ErrorKind::interrupted, "interrupted");
        const auto index = static_cast<size_t>((i + round) % n_prompts);
        if (progress) progress(round * n_prompts + i, rounds * n_prompts, cells[index]);
        own.work.prompts.assign(static_cast<size_t>(batch), prompts[index].tokens);
        round < warmup ? warm_up(own, cells[index]) : time_once(own, cells[index]);
      }
    }
  } catch (const Error&) {
    keep();
    throw;
  }
  keep();
}

}  // namespace sentinel
