// One attention or feed-forward sub-layer on its own, run over a residual stream by the engine's
// decoder: what layer-by-layer statistics, refits and loss measurements are built on.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/types.h"
#include "model/checkpoint/edited_checkpoint.h"
#include "model/decoder.h"

namespace sentinel {

enum class SublayerKind { attention, ffn };

// Sub-layer 2 l is the attention of layer l, 2 l + 1 its feed-forward part.
struct SublayerId {
  int layer = 0;
  SublayerKind kind = SublayerKind::attention;
};
inline SublayerId sublayer(int index) {
  return {index / 2, index % 2 == 0 ? SublayerKind::attention : SublayerKind::ffn};
}

using TokenWindows = std::vector<std::span<const int32_t>>;  // token sequences

// The residual stream of many token sequences, one after the other.
struct Stream {
  int d_model = 0;
  std::vector<int> lengths;  // rows of each sequence
  std::vector<float> x;      // [rows, d_model]

  int64_t rows() const { return d_model == 0 ? 0 : std::ssize(x) / d_model; }
  float* row(int64_t r) { return x.data() + r * d_model; }
  const float* row(int64_t r) const { return x.data() + r * d_model; }
};

// Embeddings of the sequences, with the checkpoint's own positions or edited ones.
Stream embed(const Checkpoint& checkpoint, std::span<const std::span<const int32_t>> sequences);
Stream embed(const Checkpoint& checkpoint, const std::vector<float>& position_embedding,
             std::span<const std::span<const int32_t>> sequences);

// What a sub-layer is made of and computed with; const while it is used.
class PackedSublayer {
 public:
  PackedSublayer(const Checkpoint& base, const EditableLayer& layer, SublayerId id,
                 const KernelTable& kernels, ThreadPool& pool, WeightType type = WeightType::f32);
  SublayerId id() const { return id_; }
  int features() const { return features_; }  // width of what Wo or W_down multiplies

 private:
  friend class SublayerRunner;
  SublayerId id_;
  WeightType type_;
  int features_ = 0;
  ModelConfig config_;
  PackedWeights weights_;
  Plan plan_;
};

// Rows of features [rows, features] of consecutive stream rows, before Wo or W_down; entropy
// [rows, n_heads] for attention, else null.
struct FeatureBlock {
  int64_t first_row;
  int rows;
  int features;
  const float* x;
  const float* entropy;
  const int* positions;  // [rows] in their sequences
};
using FeatureSink = std::function<void(const FeatureBlock&)>;

// The type that runs in the least time where small differences decide nothing: bf16 where tiles
// multiply it, else f32.
WeightType fast_type(const KernelTable& kernels);

class SublayerRunner {
 public:
  SublayerRunner(const KernelTable& kernels, ThreadPool& pool) : kernels_(kernels), pool_(pool) {}

  // out = in + sublayer(in); out may be &in or null (only features wanted). `sink` may be empty.
  // Rows before `first_row`, the end of a FeatureBlock, are left out.
  void run(const PackedSublayer& sublayer, const Stream& in, Stream* out, const FeatureSink& sink,
           int64_t first_row = 0);

  const KernelTable& kernels() const { return kernels_; }
  ThreadPool& pool() { return pool_; }

 private:
  const KernelTable kernels_;
  ThreadPool& pool_;
};

}  // namespace sentinel
