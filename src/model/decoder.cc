#include "model/decoder.h"

#include <algorithm>
#include <vector>

#include "model/attention.h"

namespace sentinel {
namespace {

constexpr int64_t kOverread = 31;  // rows that kernels may read behind an operand's last

int64_t padded_stride(int64_t n) { return round_up(std::max<int64_t>(n, 1), kPanel) + kPanel; }

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

// One forward pass; every thread of the pool runs run().
class ForwardPass {
 public:
  ForwardPass(const DecoderContext& context, const Plan& plan, KvCache& cache, Workspace& workspace,
              std::span<const RowGroup> groups, const int32_t* tokens, Observer* observer)
      : c_(context),
        plan_(plan),
        cache_(cache),
        w_(workspace),
        groups_(groups),
        tokens_(tokens),
        observer_(observer),
        observes_hidden_(observer && observer->wants_hidden()) {
    for (const RowGroup& group : groups) {
      rows_ += group.rows;
      max_group_rows_ = std::max(max_group_rows_, group.rows);
    }
  }

  void run(int thread) {
    if (c_.trace) c_.trace->begin(thread);
    embed(thread);
    meet(thread, Op::embeddings, -1);
    for (int l = 0; l < c_.config.n_layers; ++l) {
      enter(l, thread);
      attention(l, thread);
      meet(thread, Op::attention_output, l);
      integrate(l, thread);
      ffn(l, thread);
      meet(thread, Op::ffn_down, l);
    }
    enter(c_.config.n_layers, thread);
  }

 private:
  void barrier() { c_.pool.barrier(); }
  // The operation ends here.
  void mark(int thread, Op op, int layer) {
    if (c_.trace) c_.trace->end(thread, op, layer);
  }
  // It ends here for this thread, and then for all.
  void meet(int thread, Op op, int layer) {
    mark(thread, op, layer);
    barrier();
    mark(thread, Op::wait, layer);
  }
  Range rows_of(int thread) const { return share(rows_, thread, c_.pool.size()); }

  // x is complete here and nothing writes it before the next barrier but its rows' own thread.
  void enter(int l, int thread) {
    if (observes_hidden_) observe_hidden(l, Observer::Hidden::layer_input, thread);
    float* entry = std::ssize(w_.entries) > l ? w_.entries[static_cast<size_t>(l)] : nullptr;
    if (!entry) return;
    const Range mine = rows_of(thread);
    for (int64_t row = mine.begin; row < mine.end; ++row) {
      std::copy_n(w_.x + row * w_.x_stride, c_.config.d_model, entry + row * w_.x_stride);
    }
  }

  // x <- keep x + take s + shift, for the baseline's layer output and for the skip.
  void integrate(int l, int thread) {
    if (observes_hidden_) observe_hidden(l, Observer::Hidden::after_attention, thread);
    if (!w_.points) return;
    const IntegrationLayer& layer = (*w_.points->set)[static_cast<size_t>(l)];
    if (layer.baseline.empty() && layer.skip.empty()) return;
    if (!layer.baseline.empty()) {
      mix(layer.baseline, *w_.points->baseline, l + 1, thread);
      mark(thread, Op::baseline_integration, l);
    }
    if (!layer.skip.empty()) {
      mix(layer.skip, w_, skip_source(c_.config.n_layers, l), thread);
      mark(thread, Op::unet_connection, l);
    }
    barrier();
    mark(thread, Op::wait, l);
  }

  void mix(const FeatureMix& weights, const Workspace& from, int entry, int thread) {
    const Range mine = rows_of(thread);
    for (int64_t row = mine.begin; row < mine.end; ++row) {
      apply_mix(weights, from.entries[static_cast<size_t>(entry)] + row * from.x_stride,
                w_.x + row * w_.x_stride);
    }
  }

  void observe_hidden(int l, Observer::Hidden where, int thread) {
    if (thread == 0) {
      for (const RowGroup& group : groups_) {
        observer_->on_hidden(l, where, group.first_position, group.rows,
                             w_.x + group.first_row * w_.x_stride, w_.x_stride);
      }
    }
    barrier();
  }

  void embed(int thread) {
    const int64_t d = c_.config.d_model;
    const MatrixView& tokens = c_.view.token_embedding;
    const MatrixView& positions = c_.view.position_embedding;
    const Range mine = rows_of(thread);
    for (const RowGroup& group : groups_) {
      for (int r = 0; r < group.rows; ++r) {
        const int64_t row = group.first_row + r;
        if (row < mine.begin || row >= mine.end) continue;
        float* x = w_.x + row * w_.x_stride;
        float* position = w_.normed + row * w_.x_stride;
        load_row(tokens, tokens_[row], x);
        load_row(positions, group.first_position + r, position);
        for (int64_t i = 0; i < d; ++i) x[i] += position[i];
      }
    }
  }

  static void load_row(const MatrixView& m, int64_t row, float* out) {
    load_elements(m.data + row * m.out_stride * static_cast<int64_t>(size_of(m.dtype)), m.dtype,
                  m.in_stride, m.n_in, out);
  }

  // The normed rows: a private copy for few rows, else shared (and then a barrier).
  const float* norm(const std::vector<float>& weight, const std::vector<float>& bias, int thread) {
    const bool shared = rows_ > kSmallRows;
    float* out = w_.normed + (shared ? 0 : int64_t{thread} * kSmallRows * w_.x_stride);
    const Range range = shared ? rows_of(thread) : Range{0, rows_};
    c_.kernels.layer_norm(w_.x + range.begin * w_.x_stride, w_.x_stride, weight.data(), bias.data(),
                          c_.config.norm_epsilon, static_cast<int>(range.size()), c_.config.d_model,
                          c_.weights.d_model_padded, out + range.begin * w_.x_stride, w_.x_stride);
    if (shared) barrier();
    return out;
  }

  // The rows as operands of `type`: private copies for few rows, else shared (and then a barrier).
  Operand operand(WeightType type, const float* x, int64_t x_stride, int64_t k,
                  const std::vector<Segment>* segments, int thread) {
    const bool shared = rows_ > kSmallRows;
    const Range range = shared ? rows_of(thread) : Range{0, rows_};
    const Operand space = rows_from(w_.inputs, shared ? 0 : int64_t{thread} * kSmallRows);
    Operand mine = to_operand(
        c_.kernels, type, x + range.begin * x_stride, x_stride, static_cast<int>(range.size()),
        static_cast<int>(k), segments ? segments->data() : nullptr,
        segments ? static_cast<int>(segments->size()) : -1, rows_from(space, range.begin));
    if (!c_.kernels.prepare[static_cast<int>(type)]) {
      mine.data -= range.begin * mine.stride;
      return mine;
    }
    if (shared) barrier();
    return space;
  }

  LinearArgs linear_args(const PackedMatrix& matrix, const Operand& x, float* y, int64_t y_stride,
                         const std::vector<float>& bias) const {
    LinearArgs args{};
    args.weights = matrix.data;
    args.panel_stride = matrix.panel_stride;
    args.weight_scales = matrix.scales;
    args.x = x;
    args.rows = static_cast<int>(rows_);
    args.y = y;
    args.y_stride = y_stride;
    args.n_out = y_stride;
    args.bias = bias.data();
    args.epilogue = Epilogue::store;
    return args;
  }

  void run_linear(WeightType type, const LinearArgs& args, int64_t panels, int thread) const {
    const Range range = share(panels, thread, c_.pool.size());
    if (range.size() > 0) {
      c_.kernels.linear[static_cast<int>(type)](args, range.begin, range.end);
    }
  }

  // x += concat_h(f_h g_h softmax(q_h k_h^T scale + causal) v_h) Wo + bo over the active heads.
  void attention(int l, int thread) {
    const PackedLayer& layer = c_.weights.layers[l];
    const LayerPlan& plan = plan_.layers[l];
    if (plan.heads.empty() && !plan.keeps_inputs) {
      add_bias(plan.o_bias, thread);
      return;
    }
    const float* normed = norm(layer.norm1_weight, layer.norm1_bias, thread);
    mark(thread, Op::norm, l);
    if (plan.keeps_inputs) keep_inputs(l, normed, thread);

    const Segment segment{0, 0, static_cast<int32_t>(layer.qkv.k)};
    const Operand x =
        operand(layer.qkv.type, normed, w_.x_stride, c_.weights.d_model_padded, nullptr, thread);
    LinearArgs qkv = linear_args(layer.qkv, x, w_.qkv, w_.qkv_stride, layer.qkv_bias);
    qkv.segments = &segment;
    qkv.n_segments = 1;
    qkv.panels = plan.qkv_panels.data();
    run_linear(layer.qkv.type, qkv, static_cast<int64_t>(plan.qkv_panels.size()), thread);
    meet(thread, Op::qkv, l);
    heads(l, plan, thread);
    meet(thread, Op::attention, l);
    if (observer_ && thread == 0) observe_attention(l);

    const Operand context =
        operand(layer.o.type, w_.context, w_.context_stride,
                int64_t{layer.n_slots} * c_.weights.head_dim_padded, &plan.o_segments, thread);
    LinearArgs o = linear_args(layer.o, context, w_.x, w_.x_stride, plan.o_bias);
    o.segments = plan.o_segments.data();
    o.n_segments = static_cast<int>(plan.o_segments.size());
    o.n_out = c_.weights.d_model_padded;
    o.epilogue = Epilogue::add;
    run_linear(layer.o.type, o, layer.o.panels, thread);
  }

  void add_bias(const std::vector<float>& bias, int thread) {
    const Range mine = rows_of(thread);
    for (int64_t row = mine.begin; row < mine.end; ++row) {
      float* x = w_.x + row * w_.x_stride;
      for (int64_t i = 0; i < c_.config.d_model; ++i) x[i] += bias[i];
    }
  }

  void keep_inputs(int l, const float* normed, int thread) {
    const int64_t dp = c_.weights.d_model_padded;
    const Range mine = rows_of(thread);
    for (const RowGroup& group : groups_) {
      float* kept = cache_.inputs(group.sequence, l);
      for (int r = 0; r < group.rows; ++r) {
        const int64_t row = group.first_row + r;
        if (row < mine.begin || row >= mine.end) continue;
        std::copy_n(normed + row * w_.x_stride, dp, kept + (group.first_position + r) * dp);
      }
    }
  }

  // All (group, head, row block) tasks, dealt out in turn. A group of one block appends its keys in
  // the task that uses them; larger groups append first, then meet.
  void heads(int l, const LayerPlan& plan, int thread) {
    const bool one_block = max_group_rows_ <= kAttentionRows;
    for_each_task(l, plan, max_group_rows_, thread, [&](const AttentionTask& task) {
      catch_up(c_, cache_, w_, task, thread);
      append_keys_values(c_, cache_, w_, task);
      if (one_block) attend(c_, cache_, w_, task, thread);
    });
    if (one_block) return;
    barrier();
    for_each_task(l, plan, kAttentionRows, thread,
                  [&](const AttentionTask& task) { attend(c_, cache_, w_, task, thread); });
  }

  template <typename Body>
  void for_each_task(int l, const LayerPlan& plan, int block_rows, int thread, const Body& body) {
    int64_t index = 0;
    for (const RowGroup& group : groups_) {
      for (int begin = 0; begin < group.rows; begin += block_rows) {
        const int end = std::min(group.rows, begin + block_rows);
        for (const PlannedHead& head : plan.heads) {
          if (index++ % c_.pool.size() == thread) body({l, head, group, begin, end});
        }
      }
    }
  }

  // x += W_down activation(W_up norm2(x) + b_up) + b_down.
  void ffn(int l, int thread) {
    const PackedLayer& layer = c_.weights.layers[l];
    if (layer.ffn_padded == 0) {
      add_bias(layer.down_bias, thread);
      return;
    }
    const float* normed = norm(layer.norm2_weight, layer.norm2_bias, thread);
    mark(thread, Op::norm, l);
    const Segment segment{0, 0, static_cast<int32_t>(layer.up.k)};
    const Operand x =
        operand(layer.up.type, normed, w_.x_stride, c_.weights.d_model_padded, nullptr, thread);
    LinearArgs up = linear_args(layer.up, x, w_.ffn, w_.ffn_stride, layer.up_bias);
    up.segments = &segment;
    up.n_segments = 1;
    up.epilogue = epilogue_of(c_.config.activation);
    run_linear(layer.up.type, up, layer.up.panels, thread);
    meet(thread, Op::ffn_up, l);
    if (observer_ && thread == 0) observe_ffn(l);

    const Operand hidden =
        operand(layer.down.type, w_.ffn, w_.ffn_stride, layer.ffn_padded, nullptr, thread);
    LinearArgs down = linear_args(layer.down, hidden, w_.x, w_.x_stride, layer.down_bias);
    down.segments = &plan_.layers[l].ffn_segment;
    down.n_segments = 1;
    down.n_out = c_.weights.d_model_padded;
    down.epilogue = Epilogue::add;
    run_linear(layer.down.type, down, layer.down.panels, thread);
  }

  // Observers see all heads in the table's order, without padding; closed ones as zeros.
  void observe_attention(int l) {
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

  void observe_ffn(int l) {
    for (const RowGroup& group : groups_) {
      observer_->on_ffn(l, group.first_position, group.rows,
                        w_.ffn + group.first_row * w_.ffn_stride, w_.ffn_stride);
    }
  }

  const DecoderContext& c_;
  const Plan& plan_;
  KvCache& cache_;
  Workspace& w_;
  std::span<const RowGroup> groups_;
  const int32_t* tokens_;
  Observer* observer_;
  const bool observes_hidden_;
  int64_t rows_ = 0;
  int max_group_rows_ = 0;
};

}  // namespace

Workspace::Workspace(const DecoderContext& decoder, int rows, int capacity) : max_rows(rows) {
  const PackedWeights& weights = decoder.weights;
  const int64_t dp = weights.head_dim_padded, threads = decoder.pool.size();
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
  const int64_t normed_rows = std::max<int64_t>(max_rows, threads * kSmallRows);
  const int64_t widest =
      std::max<int64_t>({weights.d_model_padded, dp * slots, ffn_width, capacity});
  // 2 bytes an input (bf16), 64 more so that rows do not fall on the same cache sets.
  inputs.stride = scratch.stride = operand_width(widest) * 2 + 64;
  inputs.scales_stride = scratch.scales_stride = operand_width(widest) / kQuantBlock + 1;
  inputs.sums_stride = scratch.sums_stride = operand_width(widest) / kSumBlock;
  const int64_t scratch_rows = threads * kAttentionRows;
  const int64_t sizes[] = {max_rows * x_stride,
                           normed_rows * x_stride,
                           max_rows * qkv_stride,
                           max_rows * context_stride,
                           max_rows * ffn_stride,
                           threads * kAttentionRows * scores_stride,
                           threads * kAttentionRows * 2 * dp,
                           static_cast<int64_t>(weights.layers.size()) * max_rows * max_heads,
                           static_cast<int64_t>(weights.layers.size()) * max_rows * max_heads,
                           (normed_rows + kOverread) * inputs.stride / 4,
                           (scratch_rows + kOverread) * scratch.stride / 4,
                           normed_rows * inputs.scales_stride,
                           scratch_rows * scratch.scales_stride,
                           normed_rows * inputs.sums_stride,
                           scratch_rows * scratch.sums_stride,
                           normed_rows * inputs.scales_stride,
                           scratch_rows * scratch.scales_stride};
  float *input_data, *scratch_data, *input_sums, *scratch_sums, *input_blocks, *scratch_blocks;
  float** const pointers[] = {&x,
                              &normed,
                              &qkv,
                              &context,
                              &ffn,
                              &scores,
                              &catch_up,
                              &entropy,
                              &contribution,
                              &input_data,
                              &scratch_data,
                              &inputs.scales,
                              &scratch.scales,
                              &input_sums,
                              &scratch_sums,
                              &input_blocks,
                              &scratch_blocks};
  int64_t total = 0;
  for (int64_t size : sizes) total += round_up(size, kPanel);
  memory_ = AlignedBuffer(static_cast<size_t>(total) * sizeof(float));
  float* next = memory_.as<float>();
  for (size_t i = 0; i < std::size(sizes); ++i) {
    *pointers[i] = next;
    next += round_up(sizes[i], kPanel);
  }
  inputs.data = reinterpret_cast<std::byte*>(input_data);
  scratch.data = reinterpret_cast<std::byte*>(scratch_data);
  inputs.sums = reinterpret_cast<int32_t*>(input_sums);
  scratch.sums = reinterpret_cast<int32_t*>(scratch_sums);
  inputs.block_sums = reinterpret_cast<int32_t*>(input_blocks);
  scratch.block_sums = reinterpret_cast<int32_t*>(scratch_blocks);
}

void Workspace::keep_entry(int layer) {
  entries.resize(std::max(entries.size(), static_cast<size_t>(layer) + 1), nullptr);
  if (entries[static_cast<size_t>(layer)]) return;
  const auto floats = static_cast<size_t>(max_rows) * static_cast<size_t>(x_stride);
  entry_memory_.emplace_back(floats * sizeof(float));
  entries[static_cast<size_t>(layer)] = entry_memory_.back().as<float>();
}

Operand to_operand(const KernelTable& kernels, WeightType type, const float* x, int64_t x_stride,
                   int rows, int k, const Segment* segments, int n_segments, const Operand& space) {
  const auto prepare = kernels.prepare[static_cast<int>(type)];
  if (!prepare) {
    Operand plain{};
    plain.data = reinterpret_cast<std::byte*>(const_cast<float*>(x));
    plain.stride = x_stride * static_cast<int64_t>(sizeof(float));
    return plain;
  }
  const int k_padded = static_cast<int>(operand_width(k));
  prepare({x, x_stride, rows, k, k_padded, segments, n_segments, space});
  return space;
}

void Decoder::forward(const Plan& plan, KvCache& cache, Workspace& workspace,
                      std::span<const RowGroup> groups, const int32_t* tokens,
                      Observer* observer) const {
  ForwardPass pass(context_, plan, cache, workspace, groups, tokens, observer);
  context_.pool.run([&](int thread) { pass.run(thread); });
}

void Decoder::logits(Workspace& workspace, int first_row, int rows, float* out) const {
  const PackedWeights& weights = context_.weights;
  const Segment segment{0, 0, static_cast<int32_t>(weights.lm_head.k)};
  OpTrace* const trace = context_.trace;
  context_.pool.run([&](int thread) {
    if (trace) trace->begin(thread);
    float* normed = workspace.normed + int64_t{thread} * kSmallRows * workspace.x_stride;
    context_.kernels.layer_norm(workspace.x + first_row * workspace.x_stride, workspace.x_stride,
                                weights.final_norm_weight.data(), weights.final_norm_bias.data(),
                                context_.config.norm_epsilon, rows, context_.config.d_model,
                                weights.d_model_padded, normed, workspace.x_stride);
    if (trace) trace->end(thread, Op::norm, -1);
    LinearArgs args{};
    args.weights = weights.lm_head.data;
    args.panel_stride = weights.lm_head.panel_stride;
    args.weight_scales = weights.lm_head.scales;
    args.segments = &segment;
    args.n_segments = 1;
    args.x = to_operand(context_.kernels, weights.lm_head.type, normed, workspace.x_stride, rows,
                        weights.d_model_padded, nullptr, -1,
                        rows_from(workspace.inputs, int64_t{thread} * kSmallRows));
    args.rows = rows;
    args.y = out;
    args.y_stride = context_.config.vocab_size;
    args.n_out = context_.config.vocab_size;
    args.epilogue = Epilogue::store;
    const Range range = share(weights.lm_head.panels, thread, context_.pool.size());
    if (range.size() > 0) {
      context_.kernels.linear[static_cast<int>(weights.lm_head.type)](args, range.begin, range.end);
    }
    if (trace) trace->end(thread, Op::lm_head, -1);
  });
  if (trace) trace->end(0, Op::wait, -1);
}

}  // namespace sentinel
