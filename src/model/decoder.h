// The forward pass over packed weights: follows the plan, allocates nothing, takes no lock.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/types.h"
#include "model/agency/contribution.h"
#include "model/integration/weights.h"
#include "model/kv_cache.h"
#include "model/model.h"
#include "model/op_trace.h"
#include "model/plan.h"

namespace sentinel {

// Consecutive tokens of one sequence inside a batch of rows.
struct RowGroup {
  int sequence;
  int first_row;
  int rows;
  int first_position;
};

// What never changes while a model runs.
struct DecoderContext {
  const ModelConfig& config;
  const ModelView& view;  // for the embeddings, read from the mapped checkpoint
  const PackedWeights& weights;
  const KernelTable& kernels;
  ThreadPool& pool;
  OpTrace* trace = nullptr;  // null: operations are not timed
};

// Rows up to this many are normed by every thread for itself, which saves a barrier.
constexpr int kSmallRows = 16;
// Query rows that one attention task takes.
constexpr int kAttentionRows = 48;

struct Workspace;

// The integration points that run. `baseline` holds the entries that its pass over the same rows
// kept; null without mixing.
struct IntegrationPoints {
  const IntegrationSet* set;
  const Workspace* baseline;
};

// All activations of one session. Strides are in floats and avoid multiples of 4 KiB, which would
// map the rows of a tile to the same cache sets.
struct Workspace {
  Workspace(const DecoderContext& decoder, int max_rows, int capacity);

  int max_rows;
  int max_heads;
  int64_t x_stride, qkv_stride, context_stride, ffn_stride, scores_stride;
  float* x;         // residual stream [max_rows, x_stride]
  float* normed;    // [max(max_rows, threads * kSmallRows), x_stride]
  float* qkv;       // [max_rows, qkv_stride]: [slot][q | k | v][head_dim_padded]
  float* context;   // [max_rows, context_stride]: [slot][head_dim_padded]
  float* ffn;       // [max_rows, ffn_stride]
  float* scores;    // [threads, kAttentionRows, scores_stride]
  float* catch_up;  // [threads, kAttentionRows, 2 * head_dim_padded]
  float* entropy;   // [n_layers, max_rows, max_heads], nats
  // As `entropy`: ||f g Wo_h context_h|| of the last row of every attention task, -1 for the
  // others; written only while `norms` is set.
  float* contribution;
  const ContributionNorms* norms = nullptr;
  const IntegrationPoints* points = nullptr;  // null: none run
  // Copies of the residual stream at the entry of layers, [n_layers + 1] of [max_rows, x_stride];
  // null where keep_entry() did not ask for one.
  std::vector<float*> entries;
  void keep_entry(int layer);
  Operand inputs;   // as `normed`: shared by all rows, or kSmallRows private rows per thread
  Operand scratch;  // [threads, kAttentionRows]: queries and probabilities of an attention task

 private:
  AlignedBuffer memory_;
  std::vector<AlignedBuffer> entry_memory_;
};

// The rows of `operand` from `row` on.
inline Operand rows_from(const Operand& operand, int64_t row) {
  Operand out = operand;
  out.data += row * operand.stride;
  out.scales += row * operand.scales_stride;
  out.block_sums += row * operand.scales_stride;
  out.sums += row * operand.sums_stride;
  return out;
}

// What a weight type multiplies with: x itself (f32), or x converted into `space`. n_segments -1:
// all k inputs are in use.
Operand to_operand(const KernelTable& kernels, WeightType type, const float* x, int64_t x_stride,
                   int rows, int k, const Segment* segments, int n_segments, const Operand& space);

class Decoder {
 public:
  explicit Decoder(const DecoderContext& context) : context_(context) {}

  // Runs all layers for the groups' rows; tokens [total rows]. Leaves the residual stream in
  // workspace.x and the attention entropies in workspace.entropy, extends the cache.
  void forward(const Plan& plan, KvCache& cache, Workspace& workspace,
               std::span<const RowGroup> groups, const int32_t* tokens, Observer* observer) const;

  // Final norm and lm_head for rows [first_row, first_row + rows), rows <= kSmallRows:
  // out [rows, vocab_size].
  void logits(Workspace& workspace, int first_row, int rows, float* out) const;

 private:
  DecoderContext context_;
};

}  // namespace sentinel
