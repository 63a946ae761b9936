#include "model/attention.h"

#include <algorithm>
#include <cmath>

namespace sentinel {

void catch_up(const DecoderContext& context, KvCache& cache, Workspace& workspace,
              const AttentionTask& task, int thread) {
  const int sequence = task.group.sequence, slot = task.head.slot;
  const float* inputs = cache.inputs(sequence, task.layer);
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
    args.weight_scales = layer.qkv.scales + first_panel * kPanel;
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
    context.kernels.linear[static_cast<int>(layer.qkv.type)](args, 0, 2 * dp / kPanel);
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

}  // namespace

void attend(const DecoderContext& context, KvCache& cache, Workspace& workspace,
            const AttentionTask& task, int thread) {
  const int dp = context.weights.head_dim_padded;
  const int rows = task.end - task.begin;
  const int64_t row = task.group.first_row + task.begin;
  const int first_position = task.group.first_position + task.begin;
  const int visible = first_position + rows;  // keys that the last row sees
  const auto visible_padded = static_cast<int>(round_up(visible, kPanel));
  float* scores = workspace.scores + int64_t{thread} * kAttentionRows * workspace.scores_stride;

  const WeightType type = cache.panel_type();
  const auto linear = context.kernels.linear[static_cast<int>(type)];
  const Operand space = rows_from(workspace.scratch, int64_t{thread} * kAttentionRows);

  const Segment head_segment{0, 0, dp};
  LinearArgs qk{};
  qk.weights = cache.keys(task.group.sequence, task.layer, task.head.slot);
  qk.panel_stride = cache.key_panel_stride();
  qk.segments = &head_segment;
  qk.n_segments = 1;
  qk.x = to_operand(context.kernels, type,
                    workspace.qkv + row * workspace.qkv_stride + int64_t{task.head.slot} * 3 * dp,
                    workspace.qkv_stride, rows, dp, nullptr, -1, space);
  qk.rows = rows;
  qk.y = scores;
  qk.y_stride = workspace.scores_stride;
  qk.n_out = visible_padded;
  linear(qk, 0, visible_padded / kPanel);

  float scale_of_row[kAttentionRows];
  for (int r = 0; r < rows; ++r) {
    const SoftmaxSums sums =
        context.kernels.softmax(scores + r * workspace.scores_stride, first_position + r + 1,
                                visible_padded, context.config.attention_scale[task.layer]);
    scale_of_row[r] = task.head.factor / sums.l;
    const int64_t entry =
        (int64_t{task.layer} * workspace.max_rows + row + r) * workspace.max_heads;
    workspace.entropy[entry + task.head.head] = std::log(sums.l) - sums.t / sums.l;
  }

  // Whole steps of K, so that a row adds up in the same order however many rows see more than it.
  const int64_t unit = std::max<int64_t>(k_unit(type), kPanel);
  const Segment position_segment{0, 0, static_cast<int32_t>(round_up(visible, unit))};
  LinearArgs pv = qk;
  pv.weights = cache.values(task.group.sequence, task.layer, task.head.slot);
  pv.panel_stride = cache.value_panel_stride();
  pv.segments = &position_segment;
  pv.x = to_operand(context.kernels, type, scores, workspace.scores_stride, rows, visible_padded,
                    nullptr, -1, space);
  pv.y = workspace.context + row * workspace.context_stride + int64_t{task.head.slot} * dp;
  pv.y_stride = workspace.context_stride;
  pv.n_out = dp;
  linear(pv, 0, dp / kPanel);
  for (int r = 0; r < rows; ++r) {
    float* out = pv.y + r * workspace.context_stride;
    for (int e = 0; e < dp; ++e) out[e] *= scale_of_row[r];
  }
  if (workspace.norms) note_contribution(workspace, task, pv.y);
}

}  // namespace sentinel
