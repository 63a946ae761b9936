// All activations of one session, and the forms of them that products read.
#pragma once

#include <cstdint>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/thread_pool.h"
#include "kernels/types.h"
#include "model/agency/contribution.h"
#include "model/integration/weights.h"
#include "model/op_trace.h"
#include "model/packed_weights.h"

namespace sentinel {

// What never changes while a model runs.
struct DecoderContext {
  const ModelConfig& config;
  const Checkpoint& checkpoint;  // for the embeddings, read from the file
  const PackedWeights& weights;
  const KernelTable& kernels;
  ThreadPool& pool;
  OpTrace* trace = nullptr;  // null: operations are not timed
  // For the keys and values of a returning head, which have the same bits in steps and in windows;
  // null: `kernels`.
  const KernelTable* catch_up_kernels = nullptr;
  bool leaves_holes = false;  // a returning head does without the positions that it missed
};

// Rows up to this many are normed by every member of the pool for itself, which saves a call of it.
constexpr int kSmallRows = kFewRows;
// Query rows that one attention task takes.
constexpr int kAttentionRows = 64;

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
  float* normed;    // [members * kSmallRows, x_stride]; f32 weights: as many as max_rows
  float* qkv;       // [max_rows, qkv_stride]: [slot][q | k | v][head_dim_padded]
  float* context;   // [max_rows, context_stride]: [slot][head_dim_padded]
  float* ffn;       // [max_rows, ffn_stride], behind `hidden`
  float* scores;    // [members, kAttentionRows, scores_stride]
  float* catch_up;  // [members, kAttentionRows, 2 * head_dim_padded]
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
  float* normed_of(int member) const { return normed + int64_t{member} * kSmallRows * x_stride; }
  // What products multiply with: a row for every row, or kSmallRows private ones a member. `hidden`
  // is for the down projection, where qkv and context were; `inputs` for all others.
  Operand inputs, hidden;
  // [members, kAttentionRows]: an attention task's queries and probabilities, and the inputs that a
  // returning head's keys and values are made from.
  Operand scratch;

  // Which product a member's private rows of `inputs` were made for; products are numbered.
  struct alignas(64) PrivateRows {
    uint64_t product = 0;
  };
  std::vector<PrivateRows> private_rows;  // [members]
  uint64_t product = 0;

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
  out.starts += row * operand.starts_stride;
  return out;
}

// The inputs of `operand` from `input` on, a multiple of kQuantBlock, for products of `type`.
Operand inputs_from(const KernelTable& kernels, WeightType type, const Operand& operand,
                    int64_t input);

// x itself as an operand: what f32 weights multiply with.
Operand plain_operand(const float* x, int64_t x_stride);

// What a weight type multiplies with: x itself (f32), or x converted into `space`. n_segments -1:
// all k inputs are in use.
Operand to_operand(const KernelTable& kernels, WeightType type, const float* x, int64_t x_stride,
                   int rows, int k, const Segment* segments, int n_segments, const Operand& space);

}  // namespace sentinel
