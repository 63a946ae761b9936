// The products of a forward pass: how their inputs are made and their work is dealt out.
#include <algorithm>

#include "model/forward_pass.h"

namespace sentinel {
namespace {

constexpr int64_t kInputBlock = 8;  // rows that are normed, then converted while in cache

}  // namespace

ForwardPass::Source ForwardPass::normed(const std::vector<float>& weight,
                                        const std::vector<float>& bias) const {
  return {w_.x, w_.x_stride, c_.weights.d_model_padded, nullptr, w_.inputs, &weight, &bias};
}

LinearArgs ForwardPass::linear_args(const PackedMatrix& matrix, float* y, int64_t y_stride,
                                    const std::vector<float>& bias) const {
  LinearArgs args{};
  args.weights = matrix.data;
  args.panel_stride = matrix.panel_stride;
  args.weight_scales = matrix.scales;
  args.rows = static_cast<int>(rows_);
  args.y = y;
  args.y_stride = y_stride;
  args.n_out = y_stride;
  args.bias = bias.data();
  args.epilogue = Epilogue::store;
  return args;
}

void ForwardPass::product(Op op, const PackedMatrix& matrix, LinearArgs args, int64_t panels,
                          const Source& source, const Operand* out) {
  if (few_rows()) {
    few_rows_product(op, matrix, args, panels, source, out);
    return;
  }
  const bool converts = c_.kernels.prepare[static_cast<int>(matrix.type)] != nullptr;
  args.x = make_inputs(source, matrix.type, {0, 0}, w_.normed, source.space);
  if (source.norm_weight || converts) {
    run_shares(source.norm_weight ? Op::norm : op, [&](int s, int member) {
      float* normed = converts ? w_.normed_of(member) : w_.normed;
      make_inputs(source, matrix.type, share(rows_, s, shares()), normed, source.space);
    });
  }
  prepared_product(op, matrix, args, panels, out);
}

void ForwardPass::start_few_rows(const Source& source, WeightType type) {
  ++w_.product;
  if (c_.trace) private_inputs(source, type, 0);  // or others might take all of its shares
}

void ForwardPass::few_rows_product(Op op, const PackedMatrix& matrix, const LinearArgs& args,
                                   int64_t panels, const Source& source, const Operand* out) {
  const int64_t unit = out ? kInputPanels : 1;
  start_few_rows(source, matrix.type);
  run_shares(op, [&](int s, int member) {
    const Range units = share((panels + unit - 1) / unit, s, shares());
    const int64_t begin = unit * units.begin, end = std::min(unit * units.end, panels);
    if (begin >= end) return;
    LinearArgs a = args;
    a.x = private_inputs(source, matrix.type, member);
    c_.kernels.linear[static_cast<int>(matrix.type)](a, begin, end);
    if (!out) return;
    const int64_t column = begin * kPanel, n = (end - begin) * kPanel;
    const int64_t n_padded = end < panels ? n : operand_width(panels * kPanel) - column;
    c_.kernels.prepare[static_cast<int>(matrix.type)](
        {a.y + column, a.y_stride, a.rows, static_cast<int>(n), static_cast<int>(n_padded), nullptr,
         -1, inputs_from(c_.kernels, matrix.type, *out, column)});
  });
}

void ForwardPass::prepared_product(Op op, const PackedMatrix& matrix, const LinearArgs& args,
                                   int64_t panels, const Operand* out) {
  run_shares(op, [&](int s, int) { part_of_rows(matrix, args, panels, out, s); });
}

// Shares of one part of the rows are neighbours: a member begins with its own rows.
void ForwardPass::part_of_rows(const PackedMatrix& matrix, LinearArgs args, int64_t panels,
                               const Operand* out, int s) const {
  const int columns = shares() / row_parts_;
  const Range rows = share(rows_, s / columns, row_parts_);
  const int64_t unit = out ? kInputPanels : 2;  // kernels take two panels at a time
  const Range units = share((panels + unit - 1) / unit, s % columns, columns);
  const int64_t begin = unit * units.begin, end = std::min(unit * units.end, panels);
  if (begin >= end || rows.size() == 0) return;
  args.x = rows_from(args.x, rows.begin);
  args.rows = static_cast<int>(rows.size());
  args.y += rows.begin * args.y_stride;
  const int type = static_cast<int>(matrix.type);
  if (out) {
    c_.kernels.linear_to_inputs[type](args, rows_from(*out, rows.begin), begin, end);
  } else {
    c_.kernels.linear[type](args, begin, end);
  }
}

// Makes these rows of the inputs; returns all of them. They are normed in `normed`: all rows of it,
// or a block that is used again where they are converted, into `space`.
Operand ForwardPass::make_inputs(const Source& source, WeightType type, Range rows, float* normed,
                                 const Operand& space) const {
  const int64_t stride = source.x_stride;
  const bool converts = c_.kernels.prepare[static_cast<int>(type)] != nullptr;
  for (int64_t row = rows.begin; row < rows.end; row += kInputBlock) {
    const int n = static_cast<int>(std::min(kInputBlock, rows.end - row));
    const float* x = source.x + row * stride;
    if (source.norm_weight) {
      float* block = converts ? normed : normed + row * stride;
      norm_rows(source, row, n, block, stride);
      x = block;
    }
    if (converts) {
      to_operand(c_.kernels, type, x, stride, n, static_cast<int>(source.k),
                 source.segments ? source.segments->data() : nullptr,
                 source.segments ? static_cast<int>(source.segments->size()) : -1,
                 rows_from(space, row));
    }
  }
  if (converts) return space;
  return plain_operand(source.norm_weight ? normed : source.x, stride);
}

void ForwardPass::norm_rows(const Source& source, int64_t first, int64_t n, float* out,
                            int64_t out_stride) const {
  c_.kernels.layer_norm(source.x + first * source.x_stride, source.x_stride,
                        source.norm_weight->data(), source.norm_bias->data(),
                        c_.config.norm_epsilon, static_cast<int>(n), c_.config.d_model,
                        c_.weights.d_model_padded, out, out_stride);
}

Operand ForwardPass::private_inputs(const Source& source, WeightType type, int member) {
  uint64_t& made_for = w_.private_rows[static_cast<size_t>(member)].product;
  const Range missing{0, made_for == w_.product ? 0 : rows_};
  made_for = w_.product;
  const Operand inputs = make_inputs(source, type, missing, w_.normed_of(member),
                                     rows_from(source.space, int64_t{member} * kSmallRows));
  if (member == 0 && source.norm_weight && missing.size() > 0) mark(Op::norm);
  return inputs;
}

}  // namespace sentinel
