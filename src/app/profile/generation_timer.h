// The clock of the profiler: one generation, its parts timed apart.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

#include "model/model.h"
#include "model/sampler.h"

namespace sentinel {

struct GenerationWork {
  std::vector<std::vector<int32_t>> prompts;  // one per sequence, none empty
  int generated_tokens = 20;  // of each sequence, >= 1; end-of-text does not stop it
  double temperature = 0;     // 0: greedy
  uint64_t seed = 0;          // sequence i samples with seed + i
  // For the model's threads; null: operations are not timed. Holds the timed generation only.
  OpTrace* trace = nullptr;
};

// Positions that a sequence takes: the last new token is never fed back.
inline int64_t positions_of(int64_t prompt_tokens, int64_t new_tokens) {
  return prompt_tokens + new_tokens - 1;
}
// Error (usage) unless the model's context has them.
void check_context(int64_t prompt_tokens, int64_t new_tokens, int context);

// Seconds. Choosing the next token is inside every time but `prefill`.
struct GenerationTiming {
  double total = 0;             // prompts in to last token out
  double prefill = 0;           // the prompts of all sequences
  double first_token = 0;       // prompts in to the first token of every sequence out
  std::vector<double> steps;    // [generated_tokens - 1]
  std::vector<int32_t> tokens;  // the first sequence's new tokens
};

// Opens a session on the model as it is now, passes the prompts and a few steps untimed (caches,
// workers and the plan settle, whatever ran before), then generates and times. Error (usage) of
// check_context(); Error (interrupted) when `cancel` (may be null) becomes true.
GenerationTiming time_generation(Model& model, const GenerationWork& work,
                                 const std::atomic<bool>* cancel);

}  // namespace sentinel
