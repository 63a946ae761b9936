#include "model/workspace.h"

#include <algorithm>
#include <initializer_list>

namespace sentinel {
namespace {

int64_t padded_stride(int64_t n) { return round_up(std::max<int64_t>(n, 1), kPanel) + kPanel; }

// Lays arrays out one behind the other: counts their bytes first, then gives them their places.
class Arena {
 public:
  explicit Arena(std::byte* base) : base_(base) {}

  template <typename T>
  void take(T*& array, int64_t n) {
    if (base_) array = reinterpret_cast<T*>(base_ + used_);
    used_ += round_up(n * static_cast<int64_t>(sizeof(T)), 64);
  }
  void take(Operand& operand, int64_t rows) {
    take(operand.data, (rows + kOverread) * operand.stride);
    take(operand.scales, rows * operand.scales_stride);
    take(operand.block_sums, rows * operand.scales_stride);
    take(operand.starts, rows * operand.starts_stride);
  }
  int64_t used() const { return used_; }
  void move_to(int64_t used) { used_ = used; }

 private:
  std::byte* base_;
  int64_t used_ = 0;
};

// For rows of up to k inputs of any of these types that is converted; 64 bytes more so that rows do
// not fall on the same cache sets.
void set_strides(Operand& operand, const KernelTable& kernels,
                 std::initializer_list<WeightType> types, int64_t k) {
  int bytes = 0;
  for (const WeightType type : types) {
    if (type != WeightType::f32) {
      bytes = std::max(bytes, kernels.input_bytes[static_cast<int>(type)]);
    }
  }
  operand.stride = operand_width(k) * bytes + 64;
  operand.scales_stride = operand_width(k) / kQuantBlock + 1;
  operand.starts_stride = operand_width(k) / kSumBlock;
}

}  // namespace

Workspace::Workspace(const DecoderContext& decoder, int rows, int capacity)
    : max_rows(rows), private_rows(static_cast<size_t>(decoder.pool.size())) {
  const PackedWeights& weights = decoder.weights;
  const int64_t dp = weights.head_dim_padded;
  int64_t slots = 0, ffn_width = 0;
  max_heads = 1;
  for (size_t l = 0; l < weights.layers.size(); ++l) {
    slots = std::max<int64_t>(slots, weights.layers[l].n_slots);
    ffn_width = std::max<int64_t>(ffn_width, weights.layers[l].ffn_padded);
    max_heads = std::max(max_heads, decoder.config.layers[l].n_heads);
  }
  x_stride = padded_stride(weights.d_model_padded);
  qkv_stride = padded_stride(3 * dp * slots);
  context_stride = padded_stride(dp * slots);
  ffn_stride = padded_stride(ffn_width);
  scores_stride = padded_stride(capacity);
  const WeightType body = weights.layers.empty() ? WeightType::f32 : weights.layers[0].down.type;
  set_strides(inputs, decoder.kernels, {body, weights.lm_head.type},
              std::max<int64_t>(weights.d_model_padded, dp * slots));
  set_strides(hidden, decoder.kernels, {body}, ffn_width);
  set_strides(scratch, decoder.kernels,
              {WeightType::bf16, WeightType::int8, WeightType::int6, WeightType::int4},
              std::max<int64_t>({dp, capacity, weights.d_model_padded}));

  const int64_t layers = std::ssize(weights.layers), members = decoder.pool.size();
  const auto place = [&](std::byte* base) {
    Arena arena(base);
    const int64_t of_members = members * kSmallRows;
    const int64_t operand_rows = std::max<int64_t>(max_rows, of_members);
    const bool converts = decoder.kernels.prepare[static_cast<int>(body)] != nullptr;
    arena.take(x, max_rows * x_stride);
    arena.take(normed, (converts ? of_members : operand_rows) * x_stride);
    arena.take(scores, members * kAttentionRows * scores_stride);
    arena.take(catch_up, members * kAttentionRows * 2 * dp);
    arena.take(entropy, layers * max_rows * max_heads);
    arena.take(contribution, layers * max_rows * max_heads);
    arena.take(inputs, operand_rows);
    arena.take(scratch, members * kAttentionRows);
    // Last: where `hidden` is made without `ffn`, pages behind the first are never touched.
    const int64_t start = arena.used();
    arena.take(qkv, max_rows * qkv_stride);
    arena.take(context, max_rows * context_stride);
    const int64_t attention_end = arena.used();
    arena.move_to(start);
    arena.take(hidden, operand_rows);
    arena.take(ffn, max_rows * ffn_stride);
    arena.move_to(std::max(attention_end, arena.used()));
    return arena.used();
  };
  memory_ = AlignedBuffer(static_cast<size_t>(place(nullptr)));
  place(memory_.data());
}

void Workspace::keep_entry(int layer) {
  entries.resize(std::max(entries.size(), static_cast<size_t>(layer) + 1), nullptr);
  if (entries[static_cast<size_t>(layer)]) return;
  const auto floats = static_cast<size_t>(max_rows) * static_cast<size_t>(x_stride);
  entry_memory_.emplace_back(floats * sizeof(float));
  entries[static_cast<size_t>(layer)] = entry_memory_.back().as<float>();
}

Operand inputs_from(const KernelTable& kernels, WeightType type, const Operand& operand,
                    int64_t input) {
  Operand out = operand;
  out.data += input * kernels.input_bytes[static_cast<int>(type)];
  out.scales += input / kQuantBlock;
  out.block_sums += input / kQuantBlock;
  out.starts += input / kSumBlock;
  return out;
}

Operand plain_operand(const float* x, int64_t x_stride) {
  Operand plain{};
  plain.data = reinterpret_cast<std::byte*>(const_cast<float*>(x));
  plain.stride = x_stride * static_cast<int64_t>(sizeof(float));
  return plain;
}

Operand to_operand(const KernelTable& kernels, WeightType type, const float* x, int64_t x_stride,
                   int rows, int k, const Segment* segments, int n_segments, const Operand& space) {
  const auto prepare = kernels.prepare[static_cast<int>(type)];
  if (!prepare) return plain_operand(x, x_stride);
  const int k_padded = static_cast<int>(operand_width(k));
  prepare({x, x_stride, rows, k, k_padded, segments, n_segments, space});
  return space;
}

}  // namespace sentinel
