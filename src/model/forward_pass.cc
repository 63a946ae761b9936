#include "model/forward_pass.h"

#include <algorithm>

namespace sentinel {
namespace {

// A part of the rows has at least this many: below, reading weights again costs more than it saves.
constexpr int64_t kRowsOfPart = 128;

Epilogue epilogue_of(Activation activation) {
  switch (activation) {
    case Activation::gelu_tanh:
      return Epilogue::gelu_tanh;
    case Activation::gelu_erf:
      return Epilogue::gelu_erf;
    case Activation::relu:
      return Epilogue::relu;
  }
  return Epilogue::store;
}

}  // namespace

ForwardPass::ForwardPass(const DecoderContext& context, const Plan& plan, KvCache& cache,
                         Workspace& workspace, std::span<const RowGroup> groups,
                         const int32_t* tokens, Observer* observer, WantedRows wanted)
    : c_(context),
      plan_(plan),
      cache_(cache),
      w_(workspace),
      groups_(groups),
      tokens_(tokens),
      observer_(observer),
      wanted_(wanted) {
  int64_t rows = 0;
  for (const RowGroup& group : groups) {
    rows += group.rows;
    max_group_rows_ = std::max(max_group_rows_, group.rows);
  }
  set_rows(rows);
}

void ForwardPass::set_rows(int64_t rows) {
  rows_ = rows;
  per_member_ = few_rows() ? 2 : 4;
  row_parts_ = 1;
  for (int parts = 1; parts <= c_.pool.size() && parts * kRowsOfPart <= rows_; ++parts) {
    if (c_.pool.size() % parts == 0) row_parts_ = parts;
  }
}

void ForwardPass::run() {
  const int64_t last = rows_ - 1;
  if (c_.trace) c_.trace->begin(0);
  embed();
  mark(Op::embeddings);
  for (int l = 0; l < c_.config.n_layers; ++l) {
    layer_ = l;
    enter(l);
    attention(l);
    integrate(l);
    ffn(l);
  }
  if (wanted_ == WantedRows::last && last > 0) {
    std::copy_n(w_.x, c_.config.d_model, w_.x + last * w_.x_stride);
  }
  enter(c_.config.n_layers);
}

// The last layer's keys and values are there: of the rest only the wanted row is computed, as the
// first.
void ForwardPass::drop_unwanted_rows(int l) {
  if (wanted_ == WantedRows::all || l + 1 < c_.config.n_layers) return;
  const int64_t last = rows_ - 1;
  if (wanted_ == WantedRows::last && last > 0) {
    std::copy_n(w_.x + last * w_.x_stride, w_.x_stride, w_.x);
    std::copy_n(w_.context + last * w_.context_stride, w_.context_stride, w_.context);
  }
  set_rows(wanted_ == WantedRows::last ? 1 : 0);
}

// What the caller alone has done since the last operation.
void ForwardPass::mark(Op op) {
  if (c_.trace) c_.trace->end(0, op, layer_);
}

// From memory where the lm_head is tied, so that a step faults in no pages of a file either.
void ForwardPass::embed() {
  const int64_t d = c_.config.d_model;
  const std::vector<float>& positions = c_.weights.position_embedding;
  const bool tied = c_.config.tied_lm_head;
  for (int64_t row = 0; row < rows_ && !tied; ++row) read_token(row);  // may throw: not in the pool
  for (const RowGroup& group : groups_) {
    for_rows(group.first_row, group.rows, [&](int64_t row) {
      float* x = w_.x + row * w_.x_stride;
      if (tied) unpack_output(c_.weights.lm_head, tokens_[row], d, x);
      if (positions.empty()) return;
      const int64_t position = group.first_position + row - group.first_row;
      const float* from = positions.data() + position * d;
      for (int64_t i = 0; i < d; ++i) x[i] += from[i];
    });
  }
}

// A prompt's rows are read from the file; a decode step makes no system calls.
void ForwardPass::read_token(int64_t row) {
  const MatrixView& embedding = c_.checkpoint.view().token_embedding;
  float* x = w_.x + row * w_.x_stride;
  if (few_rows()) {
    load_row(embedding, tokens_[row], x);
  } else {
    c_.checkpoint.read_row(embedding, tokens_[row], x);
  }
}

template <typename Body>
void ForwardPass::for_rows(int64_t first, int64_t count, const Body& body) {
  if (count <= kSmallRows) {
    for (int64_t row = first; row < first + count; ++row) body(row);
    return;
  }
  c_.pool.run([&](int member) {
    const Range mine = share(count, member, c_.pool.size());
    for (int64_t row = mine.begin; row < mine.end; ++row) body(first + row);
  });
}

// Keeps the residual stream for who asked for it.
void ForwardPass::enter(int l) {
  observe_hidden(l, Observer::Hidden::layer_input);
  float* entry = std::ssize(w_.entries) > l ? w_.entries[static_cast<size_t>(l)] : nullptr;
  if (!entry) return;
  for_each_row([&](int64_t row) {
    std::copy_n(w_.x + row * w_.x_stride, c_.config.d_model, entry + row * w_.x_stride);
  });
}

// x <- keep x + take s + shift, for the baseline's layer output and for the skip.
void ForwardPass::integrate(int l) {
  observe_hidden(l, Observer::Hidden::after_attention);
  if (!w_.points) return;
  const IntegrationLayer& layer = (*w_.points->set)[static_cast<size_t>(l)];
  if (layer.baseline.empty() && layer.skip.empty()) return;
  if (!layer.baseline.empty()) {
    mix(layer.baseline, *w_.points->baseline, l + 1);
    mark(Op::baseline_integration);
  }
  if (!layer.skip.empty()) {
    mix(layer.skip, w_, skip_source(c_.config.n_layers, l));
    mark(Op::unet_connection);
  }
}

void ForwardPass::mix(const FeatureMix& weights, const Workspace& from, int entry) {
  for_each_row([&](int64_t row) {
    apply_mix(weights, from.entries[static_cast<size_t>(entry)] + row * from.x_stride,
              w_.x + row * w_.x_stride);
  });
}

// x += concat_h(f_h g_h softmax(q_h k_h^T scale + causal) v_h) Wo + bo over the active heads.
void ForwardPass::attention(int l) {
  const PackedLayer& layer = c_.weights.layers[l];
  const LayerPlan& plan = plan_.layers[l];
  if (plan.heads.empty() && !plan.keeps_inputs) {
    drop_unwanted_rows(l);
    add_bias(plan.o_bias);
    return;
  }
  const Source inputs = normed(layer.norm1_weight, layer.norm1_bias);
  if (plan.keeps_inputs) keep_inputs(l, inputs);

  const Segment segment{0, 0, static_cast<int32_t>(layer.qkv.k)};
  LinearArgs qkv = linear_args(layer.qkv, w_.qkv, w_.qkv_stride, layer.qkv_bias);
  qkv.segments = &segment;
  qkv.n_segments = 1;
  qkv.panels = plan.qkv_panels.data();
  if (heads_are_shares(plan)) {
    qkv_and_heads(plan, layer.qkv, qkv, inputs);
  } else {
    product(Op::qkv, layer.qkv, qkv, std::ssize(plan.qkv_panels), inputs);
    heads(plan);
  }
  if (observer_) observe_attention(l);

  drop_unwanted_rows(l);
  if (rows_ == 0) return;
  LinearArgs o = linear_args(layer.o, w_.x, w_.x_stride, plan.o_bias);
  o.segments = plan.o_segments.data();
  o.n_segments = static_cast<int>(plan.o_segments.size());
  o.n_out = c_.weights.d_model_padded;
  o.epilogue = Epilogue::add;
  product(Op::attention_output, layer.o, o, layer.o.panels,
          {w_.context, w_.context_stride, int64_t{layer.n_slots} * c_.weights.head_dim_padded,
           &plan.o_segments, w_.inputs});
}

// x += W_down activation(W_up norm2(x) + b_up) + b_down.
void ForwardPass::ffn(int l) {
  if (rows_ == 0) return;
  const PackedLayer& layer = c_.weights.layers[l];
  if (layer.ffn_padded == 0) {
    add_bias(layer.down_bias);
    return;
  }
  const Segment segment{0, 0, static_cast<int32_t>(layer.up.k)};
  LinearArgs up = linear_args(layer.up, w_.ffn, w_.ffn_stride, layer.up_bias);
  up.segments = &segment;
  up.n_segments = 1;
  up.epilogue = epilogue_of(c_.config.activation);
  LinearArgs down = linear_args(layer.down, w_.x, w_.x_stride, layer.down_bias);
  down.segments = &plan_.layers[l].ffn_segment;
  down.n_segments = 1;
  down.n_out = c_.weights.d_model_padded;
  down.epilogue = Epilogue::add;

  const Source inputs = normed(layer.norm2_weight, layer.norm2_bias);
  if (hidden_is_passed_on(layer)) {
    up.n_out = layer.ffn_padded;
    product(Op::ffn_up, layer.up, up, layer.up.panels, inputs, &w_.hidden);
    down.x = w_.hidden;
    prepared_product(Op::ffn_down, layer.down, down, layer.down.panels);
    return;
  }
  product(Op::ffn_up, layer.up, up, layer.up.panels, inputs);
  if (observer_) observe_ffn(l);
  product(Op::ffn_down, layer.down, down, layer.down.panels,
          {w_.ffn, w_.ffn_stride, layer.ffn_padded, nullptr, w_.hidden});
}

// Whether shares of the up projection can make the inputs of the down projection. With few rows
// that takes blocks of neurons (kInputPanels) that can be dealt out evenly.
bool ForwardPass::hidden_is_passed_on(const PackedLayer& layer) const {
  const auto type = static_cast<int>(layer.up.type);
  if (observer_ || layer.up.type != layer.down.type) return false;
  if (!few_rows()) return c_.kernels.linear_to_inputs[type];
  return c_.kernels.prepare[type] && layer.ffn_padded % (kQuantBlock * c_.pool.size()) == 0;
}

void ForwardPass::add_bias(const std::vector<float>& bias) {
  for_each_row([&](int64_t row) {
    float* x = w_.x + row * w_.x_stride;
    for (int64_t i = 0; i < c_.config.d_model; ++i) x[i] += bias[i];
  });
}

void ForwardPass::keep_inputs(int l, const Source& source) {
  const int64_t dp = c_.weights.d_model_padded;
  c_.pool.run([&](int member) {
    const Range mine = share(rows_, member, c_.pool.size());
    for (const RowGroup& group : groups_) {
      const int64_t begin = std::max<int64_t>(mine.begin, group.first_row);
      const int64_t end = std::min<int64_t>(mine.end, group.first_row + group.rows);
      if (begin >= end) continue;
      const int64_t position = group.first_position + begin - group.first_row;
      norm_rows(source, begin, end - begin, cache_.inputs(group.sequence, l) + position * dp, dp);
    }
  });
}

// Whether every member can have as many heads as any other.
bool ForwardPass::heads_are_shares(const LayerPlan& plan) const {
  return few_rows() && std::ssize(plan.heads) % c_.pool.size() == 0;
}

// A share makes the queries, keys and values of its heads, then attends with them.
void ForwardPass::qkv_and_heads(const LayerPlan& plan, const PackedMatrix& matrix,
                                const LinearArgs& args, const Source& source) {
  const int64_t panels = 3 * c_.weights.head_dim_padded / kPanel;
  const auto heads_of = [&](int s) { return share(std::ssize(plan.heads), s, shares()); };
  const auto make = [&](int s, int member) {
    const Range mine = heads_of(s);
    if (mine.size() == 0) return;
    LinearArgs a = args;
    a.x = private_inputs(source, matrix.type, member);
    c_.kernels.linear[static_cast<int>(matrix.type)](a, panels * mine.begin, panels * mine.end);
  };
  const auto attend_all = [&](int s, int member) {
    const Range mine = heads_of(s);
    for (const RowGroup& group : groups_) {
      for (int64_t i = mine.begin; i < mine.end; ++i) {
        head({layer_, plan.heads[static_cast<size_t>(i)], group, 0, group.rows}, member);
      }
    }
  };
  start_few_rows(source, matrix.type);
  run_timed(c_.pool, c_.trace, per_member_, Op::qkv, make, Op::attention, attend_all, layer_);
}

// A group of one block appends its keys in the task that uses them; larger groups append first.
void ForwardPass::heads(const LayerPlan& plan) {
  if (max_group_rows_ <= kAttentionRows) {
    for_each_task(plan, max_group_rows_,
                  [&](const AttentionTask& task, int member) { head(task, member); });
    return;
  }
  for_each_task(plan, max_group_rows_, [&](const AttentionTask& task, int member) {
    catch_up(c_, cache_, w_, task, member);
    append_keys_values(c_, cache_, w_, task);
  });
  for_each_task(plan, kAttentionRows, [&](const AttentionTask& task, int member) {
    attend(c_, cache_, w_, task, member);
  });
}

void ForwardPass::head(const AttentionTask& task, int member) {
  catch_up(c_, cache_, w_, task, member);
  append_keys_values(c_, cache_, w_, task);
  attend(c_, cache_, w_, task, member);
}

// All (group, row block, head) tasks, dealt out in turn: later rows of a group see more keys.
template <typename Body>
void ForwardPass::for_each_task(const LayerPlan& plan, int block_rows, const Body& body) {
  run_shares(Op::attention, [&](int s, int member) {
    int64_t index = 0;
    for (const RowGroup& group : groups_) {
      for (int begin = 0; begin < group.rows; begin += block_rows) {
        const int end = std::min(group.rows, begin + block_rows);
        for (const PlannedHead& head : plan.heads) {
          if (index++ % shares() == s) body({layer_, head, group, begin, end}, member);
        }
      }
    }
  });
}

void ForwardPass::observe_hidden(int l, Observer::Hidden where) {
  if (!observer_ || !observer_->wants_hidden()) return;
  for (const RowGroup& group : groups_) {
    observer_->on_hidden(l, where, group.first_position, group.rows,
                         w_.x + group.first_row * w_.x_stride, w_.x_stride);
  }
}

// Observers see all heads in the table's order, without padding; closed ones as zeros.
void ForwardPass::observe_attention(int l) {
  const LayerConfig& lc = c_.config.layers[l];
  const int64_t d = c_.config.head_dim, dp = c_.weights.head_dim_padded;
  for (const RowGroup& group : groups_) {
    std::vector<float> context(int64_t{group.rows} * lc.n_heads * d);
    std::vector<float> entropy(int64_t{group.rows} * lc.n_heads);
    for (int r = 0; r < group.rows; ++r) {
      const int64_t row = group.first_row + r;
      const float* entry = w_.entropy + (int64_t{l} * w_.max_rows + row) * w_.max_heads;
      for (const PlannedHead& head : plan_.layers[l].heads) {
        const int64_t index = int64_t{r} * lc.n_heads + head.head;
        std::copy_n(w_.context + row * w_.context_stride + head.slot * dp, d,
                    context.data() + index * d);
        entropy[index] = entry[head.head];
      }
    }
    observer_->on_attention(l, group.first_position, group.rows, context.data(), lc.n_heads * d,
                            entropy.data());
  }
}

void ForwardPass::observe_ffn(int l) {
  for (const RowGroup& group : groups_) {
    observer_->on_ffn(l, group.first_position, group.rows, w_.ffn + group.first_row * w_.ffn_stride,
                      w_.ffn_stride);
  }
}

}  // namespace sentinel
