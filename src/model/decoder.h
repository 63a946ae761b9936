// The forward pass over packed weights: follows the plan, allocates nothing, takes no lock.
#pragma once

#include <cstdint>
#include <span>

#include "model/kv_cache.h"
#include "model/model.h"
#include "model/plan.h"
#include "model/workspace.h"

namespace sentinel {

// Consecutive tokens of one sequence inside a batch of rows.
struct RowGroup {
  int sequence;
  int first_row;
  int rows;
  int first_position;
};

// The rows whose residual stream is asked for behind the last layer.
enum class WantedRows { all, last, none };

class Decoder {
 public:
  explicit Decoder(const DecoderContext& context) : context_(context) {}

  // Runs all layers for the groups' rows; tokens [total rows]. Leaves the residual stream in
  // workspace.x and the attention entropies in workspace.entropy, extends the cache. What is not
  // wanted of one group's rows is left undefined; observers and points of integration want all.
  void forward(const Plan& plan, KvCache& cache, Workspace& workspace,
               std::span<const RowGroup> groups, const int32_t* tokens, Observer* observer,
               WantedRows wanted = WantedRows::all) const;

  // Final norm and lm_head for rows [first_row, first_row + rows), rows <= kSmallRows:
  // out [rows, vocab_size].
  void logits(Workspace& workspace, int first_row, int rows, float* out) const;

 private:
  DecoderContext context_;
};

}  // namespace sentinel
