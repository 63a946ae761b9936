// Gated causal attention of one head over the cache, for a few query rows of one sequence.
#pragma once

#include "model/decoder.h"

namespace sentinel {

struct AttentionTask {
  int layer;
  PlannedHead head;
  RowGroup group;
  int begin, end;  // rows of the group
};

// Brings this head's cache up to date before `group`: computes what it missed while it was off.
void catch_up(const DecoderContext& context, KvCache& cache, Workspace& workspace,
              const AttentionTask& task, int thread);

// Copies the group's new keys and values of this head into the cache.
void append_keys_values(const DecoderContext& context, KvCache& cache, Workspace& workspace,
                        const AttentionTask& task);

// context[row, slot] = factor * softmax(q K^T scale) V for the task's rows, and their entropies.
void attend(const DecoderContext& context, KvCache& cache, Workspace& workspace,
            const AttentionTask& task, int thread);

}  // namespace sentinel
