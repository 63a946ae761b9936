#include "model/attention.h"

#include <algorithm>
#include <cmath>

namespace sentinel {

void catch_up(const DecoderContext& context, KvCache& cache, Workspace& workspace,
              const AttentionTask& task, int thread) {
  const int sequence = task.group.sequence, slot = task.head.slot;
  const float* inputs = cache.inputs(sequence, task.layer);
  const KernelTable& kernels =
      context.catch_up_kernels ? *context.catch_up_kernels : context.kernels;
  const PackedLayer& layer = context.weights.layers[task.layer];
  const int dp = context.weights.head_dim_padded;
  const int64_t first_panel = (int64_t{slot} * 3 + 1) * (dp / kPanel);  // k, then v
  float* kv = workspace.catch_up + int64_t{thread} * kAttentionRows * 2 * dp;
  while (cache.valid(sequence, task.layer, slot) < task.group.first_position) {
    const int first = cache.valid(sequence, task.layer, slot);
    const int rows = std::min(kAttentionRows, task.group.first_position - first);
    const Segment segment{0, 0, static_cast<int32_t>(layer.qkv.k)};
    LinearArgs args{};
    args.weights = layer.qkv.panel(first_panel);
    args.panel_stride = layer.qkv.panel_stride;
    args.segments = &segment;
    args.n_segments = 1;
    args.weight_scales = layer.qkv.panel_scales(first_panel);
    args.x = to_operand(
        context.kernels, layer.qkv.type, inputs + int64_t{first} * context.weights.d_model_padded,
        context.weights.d_model_padded, rows, context.weights.d_model_padded, nullptr, -1,
        rows_from(workspace.scratch, int64_t{thread} * kAttentionRows));
    args.rows = rows;
    args.y = kv;
    args.y_stride = int64_t{2} * dp;
    args.n_out = int64_t{2} * dp;
    args.bias = layer.qkv_bias.data() + first_panel * kPanel;
    args.epilogue = Epilogue::store;
    kernels.linear[static_cast<int>(layer.qkv.type)](args, 0, 2 * dp / kPanel);
    cache.append(context.kernels, sequence, task.layer, slot, first, rows, kv, kv + dp,
                 int64_t{2} * dp);
  }
}

void append_keys_values(const DecoderContext& context, KvCache& cache, Workspace& workspace,
                        const AttentionTask& task) {
  const int dp = context.weights.head_dim_padded;
  const float* k = workspace.qkv + task.group.first_row * workspace.qkv_stride +
                   (int64_t{task.head.slot} * 3 + 1) * dp;
  cache.append(context.kernels, task.group.sequence, task.layer, task.head.slot,
               task.group.first_position, task.group.rows, k, k + dp, workspace.qkv_stride);
}

namespace {

// The task's last row stands for all of them: a prefill chunk has many rows, tracking needs few.
void note_contribution(Workspace& workspace, const AttentionTask& task, const float* contexts) {
  const int rows = task.end - task.begin;
  for (int r = 0; r < rows; ++r) {
    const int64_t row = task.group.first_row + task.begin + r;
    const int64_t entry = (int64_t{task.layer} * workspace.max_rows + row) * workspace.max_heads;
    workspace.contribution[entry + task.head.head] =
        r + 1 < rows ? -1.0F
                     : workspace.norms->norm(task.layer, task.head.head,
                                             contexts + r * workspace.context_stride);
  }
}

// What int8 inputs leave of p[0..n): p - scale * round(p / scale) by blocks. Probabilities span
// decades, so that one step of 1/127 of a block's largest would lose many small ones: products of
// both parts have 15 bits. The arithmetic is that of quantize_block() (kernels/generic/operand.h),
// step by step, or the parts would not add up.
void keep_rest(float* p, int n, const float* scales) {
  constexpr float kShift = 12582912;  // 1.5 * 2^23: adding it leaves whole numbers, ties to even
  for (int begin = 0; begin < n; begin += kQuantBlock) {
    const int end = std::min(n, begin + kQuantBlock);
    float highest = 0;
    for (int i = begin; i < end; ++i) highest = std::max(highest, std::fabs(p[i]));
    const float scale = scales[begin / kQuantBlock];
    if (scale == 0) continue;
    const float inverse = 127 / highest;
    for (int i = begin; i < end; ++i) p[i] -= scale * ((p[i] * inverse + kShift) - kShift);
  }
}

// One head over a block of query rows.
class HeadBlock {
 public:
  HeadBlock(const DecoderContext& context, KvCache& cache, Workspace& workspace,
            const AttentionTask& task, int thread)
      : c_(context),
        cache_(cache),
        w_(workspace),
        task_(task),
        rows_(task.end - task.begin),
        row_(task.group.first_row + task.begin),
        first_position_(task.group.first_position + task.begin),
        visible_padded_(static_cast<int>(round_up(visible(), kPanel))),
        scores_(workspace.scores + int64_t{thread} * kAttentionRows * workspace.scores_stride),
        space_(rows_from(workspace.scratch, int64_t{thread} * kAttentionRows)) {}

  // scores = q K^T.
  void score() const {
    const int dp = c_.weights.head_dim_padded;
    const Segment segment{0, 0, dp};
    LinearArgs args = product(segment, scores_, w_.scores_stride, visible_padded_);
    args.weights = cache_.keys(sequence(), task_.layer, task_.head.slot);
    args.panel_stride = cache_.key_panel_stride();
    if (int8()) {
      args.weight_scales = cache_.key_scales(sequence(), task_.layer, task_.head.slot);
    }
    args.x = inputs(w_.qkv + row_ * w_.qkv_stride + int64_t{task_.head.slot} * 3 * dp,
                    w_.qkv_stride, dp);
    multiply(args);
  }

  // scores[r] = e^(s - max) of what row r sees; returns factor / their sum in factors[r].
  void softmax(float* factors) const {
    hide_holes();
    for (int r = 0; r < rows_; ++r) {
      const SoftmaxSums sums =
          c_.kernels.softmax(scores_ + r * w_.scores_stride, first_position_ + r + 1,
                             visible_padded_, c_.config.attention_scale[task_.layer]);
      factors[r] = task_.head.factor / sums.l;
      const int64_t entry = (int64_t{task_.layer} * w_.max_rows + row_ + r) * w_.max_heads;
      w_.entropy[entry + task_.head.head] = std::log(sums.l) - sums.t / sums.l;
    }
  }

  // Scores that no other comes near, and finite, so that sums with them are.
  void hide_holes() const {
    for (const Range& hole : cache_.holes(sequence(), task_.layer, task_.head.slot)) {
      for (int r = 0; r < rows_; ++r) {
        const int64_t end = std::min<int64_t>(hole.end, first_position_ + r);
        float* scores = scores_ + r * w_.scores_stride;
        for (int64_t i = hole.begin; i < end; ++i) scores[i] = -1e30F;
      }
    }
  }

  // context = factors * scores V.
  float* mix_values(const float* factors) const {
    const int dp = c_.weights.head_dim_padded;
    float* out = w_.context + row_ * w_.context_stride + int64_t{task_.head.slot} * dp;
    // Whole steps of K, so that a row adds up in the same order however many rows see more than it.
    const int64_t unit = std::max<int64_t>(k_unit(cache_.panel_type()), kPanel);
    const Segment segment{0, 0, static_cast<int32_t>(round_up(visible(), unit))};
    LinearArgs args = product(segment, out, w_.context_stride, dp);
    args.weights = cache_.values(sequence(), task_.layer, task_.head.slot);
    args.panel_stride = cache_.value_panel_stride();
    if (int8()) {
      args.weight_scales = cache_.output_scales();
      take_value_scales();
    }
    args.x = inputs(scores_, w_.scores_stride, visible_padded_);
    multiply(args);
    if (int8()) {
      for (int r = 0; r < rows_; ++r) {
        keep_rest(scores_ + r * w_.scores_stride, visible_padded_,
                  space_.scales + r * space_.scales_stride);
      }
      args.x = inputs(scores_, w_.scores_stride, visible_padded_);
      args.epilogue = Epilogue::add;
      multiply(args);
    }
    for (int r = 0; r < rows_; ++r) {
      for (int e = 0; e < dp; ++e) out[r * w_.context_stride + e] *= factors[r];
    }
    return out;
  }

 private:
  int sequence() const { return task_.group.sequence; }
  int visible() const { return first_position_ + rows_; }  // keys that the last row sees
  bool int8() const { return cache_.panel_type() == WeightType::int8; }

  LinearArgs product(const Segment& segment, float* y, int64_t y_stride, int n_out) const {
    LinearArgs args{};
    args.segments = &segment;
    args.n_segments = 1;
    args.rows = rows_;
    args.y = y;
    args.y_stride = y_stride;
    args.n_out = n_out;
    return args;
  }
  Operand inputs(const float* x, int64_t stride, int k) const {
    return to_operand(c_.kernels, cache_.panel_type(), x, stride, rows_, k, nullptr, -1, space_);
  }
  void multiply(const LinearArgs& args) const {
    c_.kernels.linear[static_cast<int>(cache_.panel_type())](args, 0, args.n_out / kPanel);
  }
  void take_value_scales() const {
    const float* scales = cache_.value_scales(sequence(), task_.layer, task_.head.slot);
    for (int r = 0; r < rows_; ++r) {
      float* p = scores_ + r * w_.scores_stride;
      for (int i = 0; i < visible_padded_; ++i) p[i] *= scales[i];
    }
  }

  const DecoderContext& c_;
  KvCache& cache_;
  Workspace& w_;
  const AttentionTask& task_;
  const int rows_;
  const int64_t row_;
  const int first_position_, visible_padded_;
  float* const scores_;
  const Operand space_;
};

}  // namespace

void attend(const DecoderContext& context, KvCache& cache, Workspace& workspace,
            const AttentionTask& task, int thread) {
  const HeadBlock block(context, cache, workspace, task, thread);
  float factors[kAttentionRows];
  block.score();
  block.softmax(factors);
  const float* out = block.mix_values(factors);
  if (workspace.norms) note_contribution(workspace, task, out);
}

}  // namespace sentinel
