// Position 0 of a sequence, computed with every head open: by the model's own weights, or by those
// of the unpruned model (docs/pruning.md says why).
#pragma once

#include <memory>

#include "model/agency/head_table.h"
#include "model/decoder.h"

namespace sentinel {

// The weights of the unpruned model, packed; const afterwards.
struct UnprunedWeights {
  std::shared_ptr<const Checkpoint> checkpoint;
  PackedWeights packed;
};

// Of one session.
class FirstPosition {
 public:
  // `unpruned` null: `own` computes position 0 itself. `cache` is the session's.
  FirstPosition(const DecoderContext& own, const UnprunedWeights* unpruned);

  // Runs position 0 of a sequence: its residual stream becomes row 0 of `workspace`, and all heads
  // of `cache` get their keys and values. Heads without consent stay closed.
  void run(const HeadTable& heads, KvCache& cache, Workspace& workspace, int sequence,
           int32_t token);

 private:
  void refresh_plan(const HeadTable& heads, KvCache& cache);
  void apply_consent(const HeadTable& heads);
  void copy_keys_values(KvCache& cache, int sequence);

  DecoderContext own_;
  const UnprunedWeights* unpruned_;
  Plan plan_;
  std::unique_ptr<KvCache> unpruned_cache_;        // one position
  std::unique_ptr<Workspace> unpruned_workspace_;  // one row
};

// Error (usage) unless `unpruned` has the basic shape of `pruned` and holds all of its heads.
void check_same_family(const ModelConfig& unpruned, const ModelConfig& pruned);

}  // namespace sentinel
