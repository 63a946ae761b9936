// The loss of a model on a few windows, measured again and again with one sub-layer exchanged:
// what lies before that sub-layer is not computed again.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "app/prune/sublayer.h"
#include "base/aligned_buffer.h"

namespace sentinel {

// The first `tokens` of the windows, the last one cut; windows of fewer than 2 tokens are left out.
TokenWindows first_tokens(const TokenWindows& windows, int64_t tokens);
// The same of every n-th window, so that they come from all over the text.
TokenWindows spread_tokens(const TokenWindows& windows, int64_t tokens);

struct LossMeterOptions {
  bool protect_first = false;         // position 0 with all heads and the weights of `base`
  WeightType type = WeightType::f32;  // of the weights that are multiplied
  // Token ids, ascending, all that the windows hold among them: the softmax is over these alone.
  // Empty: over the whole vocabulary.
  std::span<const int32_t> vocabulary;
  const std::atomic<bool>* cancel = nullptr;  // looked at between sub-layers: Error (interrupted)
};

// About the floating-point operations per token of one measurement: half of the layers, and lm_head
// for such a vocabulary.
double loss_flops(const ModelConfig& config, std::span<const int32_t> vocabulary);

class LossMeter {
 public:
  // windows: at least 2 tokens each. What they and the vocabulary point to outlives this object.
  LossMeter(std::shared_ptr<const Checkpoint> base, TokenWindows windows, SublayerRunner& runner,
            const LossMeterOptions& options = {});

  double dense_loss() const { return dense_loss_; }
  void set_model(const EditableModel& model);
  // Mean negative log likelihood (nats) of the model, and with one sub-layer from `layer` instead.
  double loss() const { return loss_; }
  double loss_with(int sublayer_index, const EditableLayer& layer);
  // Exchanges the sub-layer for good.
  void accept(int sublayer_index, const EditableLayer& layer);

 private:
  void pack_lm_head();
  int n_logits() const;
  std::shared_ptr<PackedSublayer> pack(int index, const EditableLayer& layer) const;
  // Runs sub-layers from `first` on, starting with `stream`; keeps the streams if asked to.
  double run_from(int first, Stream stream, const PackedSublayer* changed, bool keep);
  struct Scored {
    const float* row;  // [d_model] of the stream
    int32_t target;
  };
  double head_loss(const Stream& stream);
  struct HeadSpace {  // of one member of the pool, whose bodies must not throw
    std::vector<float> normed, logits;
    AlignedBuffer operand;
  };
  HeadSpace head_space() const;
  double sum_losses(std::span<const Scored> scored, HeadSpace& space) const;
  void protect(int next, Stream& stream) const;

  std::shared_ptr<const Checkpoint> base_;
  const TokenWindows windows_;
  SublayerRunner& runner_;
  const LossMeterOptions options_;
  const int n_sublayers_;
  std::vector<std::shared_ptr<PackedSublayer>> packed_;
  std::vector<Stream> streams_;                 // [n_sublayers] inputs of each
  std::vector<std::vector<float>> first_rows_;  // [n_sublayers + 1][windows, d_model] dense
  PackedMatrix lm_head_;
  AlignedBuffer lm_head_memory_;
  std::vector<float> norm_weight_, norm_bias_;
  double loss_ = 0, dense_loss_ = 0;
};

}  // namespace sentinel
