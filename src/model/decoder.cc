#include "model/decoder.h"

#include "model/forward_pass.h"
#include "model/timed_shares.h"

namespace sentinel {

void Decoder::forward(const Plan& plan, KvCache& cache, Workspace& workspace,
                      std::span<const RowGroup> groups, const int32_t* tokens, Observer* observer,
                      WantedRows wanted) const {
  ForwardPass(context_, plan, cache, workspace, groups, tokens, observer, wanted).run();
}

// Every share norms its rows anew: little beside an output matrix.
void Decoder::logits(Workspace& workspace, int first_row, int rows, float* out) const {
  constexpr int kShares = 4;
  const PackedWeights& weights = context_.weights;
  const Segment segment{0, 0, static_cast<int32_t>(weights.lm_head.k)};
  if (context_.trace) context_.trace->begin(0);
  run_timed(context_.pool, context_.trace, kShares, Op::lm_head, -1, [&](int s, int member) {
    float* normed = workspace.normed_of(member);
    context_.kernels.layer_norm(workspace.x + first_row * workspace.x_stride, workspace.x_stride,
                                weights.final_norm_weight.data(), weights.final_norm_bias.data(),
                                context_.config.norm_epsilon, rows, context_.config.d_model,
                                weights.d_model_padded, normed, workspace.x_stride);
    LinearArgs args{};
    args.weights = weights.lm_head.data;
    args.panel_stride = weights.lm_head.panel_stride;
    args.weight_scales = weights.lm_head.scales;
    args.segments = &segment;
    args.n_segments = 1;
    args.x = to_operand(context_.kernels, weights.lm_head.type, normed, workspace.x_stride, rows,
                        weights.d_model_padded, nullptr, -1,
                        rows_from(workspace.inputs, int64_t{member} * kSmallRows));
    args.rows = rows;
    args.y = out;
    args.y_stride = context_.config.vocab_size;
    args.n_out = context_.config.vocab_size;
    args.epilogue = Epilogue::store;
    const Range range = share(weights.lm_head.panels, s, kShares * context_.pool.size());
    if (range.size() > 0) {
      context_.kernels.linear[static_cast<int>(weights.lm_head.type)](args, range.begin, range.end);
    }
  });
}

}  // namespace sentinel
