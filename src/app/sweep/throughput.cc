#include "app/sweep/throughput.h"

#include <algorithm>

#include "base/error.h"

namespace sentinel {

void time_throughput(const CellContext& context, const Cell& cell,
                     const std::vector<Prompt>& prompts, int batch, int warmup, int iterations,
                     const CellProgress& progress, std::vector<ThroughputResult>& results) {
  std::vector<Cell> cells(prompts.size(), cell);
  // Two prompts may be the same: each result goes to one of them.
  for (size_t i = 0; i < cells.size(); ++i) {
    const auto known = std::find_if(results.begin(), results.end(), [&](const ThroughputResult& r) {
      return r.prompt == prompts[i].text;
    });
    if (known == results.end()) continue;
    cells[i].run = std::move(known->run);
    results.erase(known);
  }
  const auto keep = [&] {
    results.clear();
    for (size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].timed()) results.push_back({prompts[i].text, cells[i].run});
    }
  };
  const int n_prompts = static_cast<int>(prompts.size());
  const int timed_rounds = std::max(iterations, kThroughputMinRounds);
  const int rounds = warmup + timed_rounds;
  CellContext own = context;
  own.work.generated_tokens = kThroughputTokens;
  try {
    for (int round = 0; round < rounds; ++round) {
      for (int i = 0; i < n_prompts; ++i) {
        throw_if_set(context.cancel);
        const auto index = static_cast<size_t>((i + round) % n_prompts);
        const int have = static_cast<int>(cells[index].run.generation_times.size());
        if (have >= timed_rounds || (round >= warmup && have > round - warmup)) continue;
        if (progress) progress(round * n_prompts + i, rounds * n_prompts, cells[index]);
        own.work.prompts.assign(static_cast<size_t>(batch), prompts[index].tokens);
        round < warmup ? warm_up(own, cells[index]) : time_once(own, cells[index]);
      }
    }
  } catch (...) {
    keep();
    throw;
  }
  keep();
}

}  // namespace sentinel
