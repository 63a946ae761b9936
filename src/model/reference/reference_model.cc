#include "model/reference/reference_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/ref/plain.h"
#include "model/agency/tracking.h"
#include "model/first_position.h"
#include "model/reference/head_history.h"
#include "model/reference/parameters.h"
#include "model/session_checks.h"

namespace sentinel {
namespace {

using namespace reference;  // NOLINT: its own names

class ReferenceModel;

class ReferenceSession : public Session {
 public:
  ReferenceSession(ReferenceModel& model, int max_sequences, int max_length);

  int max_sequences() const override { return static_cast<int>(tokens_.size()); }
  int max_length() const override { return max_length_; }
  int length(int sequence) const override {
    check_sequence(sequence, max_sequences());
    return static_cast<int>(tokens_[sequence].size());
  }
  void prefill(int sequence, std::span<const int32_t> tokens, float* logits) override;
  void prefill(int sequence, std::span<const int32_t> tokens, const LogitsSink& sink) override;
  void window(int sequence, std::span<const int32_t> tokens, float* logits) override;
  void step(std::span<const int32_t> tokens, float* logits) override;
  void truncate(int sequence, int length) override {
    check_sequence(sequence, max_sequences());
    check_length(length);
    auto& kept = tokens_[sequence];
    if (length < static_cast<int>(kept.size())) kept.resize(length);
    history_[sequence].truncate(this->length(sequence));
    if (baseline_) baseline_->truncate(sequence, length);
  }
  void set_observer(Observer* observer) override { observer_ = observer; }
  void set_trace(OpTrace* trace) override { trace_ = trace; }

 private:
  void mark(Op op, int layer) {
    if (trace_) trace_->end(0, op, layer);
  }
  void append(int sequence, std::span<const int32_t> tokens);
  // As prefill(), which is a step of the head table; a batch's step() is one, too.
  void last_logits(int sequence, std::span<const int32_t> tokens, float* logits);
  // Final-norm outputs [tokens of the sequence, d_model] of the whole sequence.
  std::vector<float> hidden(int sequence, int first_new);
  // The residual stream at the entry of every layer, then behind the last.
  std::vector<std::vector<float>> entries(int sequence, int first_new);
  void integrate(int layer, const std::vector<std::vector<float>>& own,
                 const std::vector<std::vector<float>>& baseline, std::vector<float>& x) const;
  void observe(int layer, Observer::Hidden where, int first_new, const std::vector<float>& x) const;
  void attention(const LayerParameters& layer, int layer_index, const HeadHistory& history, int n,
                 int first_new, std::vector<float>& x);
  // Whether a head does without a position behind which it stands, because it was off there.
  bool hidden_from(const HeadHistory& history, int position, int layer, int64_t head) const;
  void track(const LayerParameters& layer, int layer_index, const HeadHistory& history, int n,
             int first_new, const std::vector<float>& context, const std::vector<float>& entropy);
  void ffn(const LayerParameters& layer, int layer_index, int n, int first_new,
           std::vector<float>& x);

  ReferenceModel& model_;
  int max_length_;
  std::vector<std::vector<int32_t>> tokens_;
  std::vector<HeadHistory> history_;  // of each sequence
  Observer* observer_ = nullptr;
  std::unique_ptr<ReferenceSession> baseline_;  // null unless it is mixed in
  OpTrace* trace_ = nullptr;
};

class ReferenceModel : public Model {
 public:
  ReferenceModel(std::shared_ptr<const Checkpoint> checkpoint, const ModelOptions& options)
      : checkpoint_(std::move(checkpoint)),
        parameters_(*checkpoint_),
        heads_(checkpoint_->config(), options.agency_options) {
    info_.level = 0;
    info_.threads = 1;
    info_.isa = "scalar";
    info_.kv_cache = false;
    info_.agency = options.agency.value_or(AgencyMode::track);
    info_.kv_return = options.kv_return;
    if (options.head_means) {
      means_ = std::make_unique<MeanOutputs>(*checkpoint_, *options.head_means);
      info_.head_means = true;
    }
    info_.tracking_interval = tracking_interval(0, options.agency);
    heads_.set_automatic(options.agency == AgencyMode::automatic);
    info_.weight_bytes = checkpoint_->parameter_count() * 4;
    for (const HeadId id : options.removed_heads) heads_.remove(id);
    open_integration(options);
    checkpoint_->release_pages();
  }

  const Checkpoint& checkpoint() const override { return *checkpoint_; }
  const ModelInfo& info() const override { return info_; }
  HeadTable& heads() override { return heads_; }
  const HeadTable& heads() const override { return heads_; }
  std::unique_ptr<Session> new_session(int max_sequences, int max_length) override {
    check_session_shape(max_sequences, max_length, config().context_length);
    return std::make_unique<ReferenceSession>(*this, max_sequences, max_length);
  }
  int64_t bytes_per_token(int) const override { return info_.weight_bytes; }
  OpBytes operation_bytes(int) const override {
    OpBytes bytes{};
    const auto add = [&](Op op, const auto&... parts) {
      (..., (bytes[static_cast<size_t>(op)] += static_cast<int64_t>(parts.size()) * 4));
    };
    for (const LayerParameters& l : parameters_.layers) {
      add(Op::norm, l.norm1_weight, l.norm1_bias, l.norm2_weight, l.norm2_bias);
      for (const HeadParameters& h : l.heads) {
        add(Op::qkv, h.q.values, h.k.values, h.v.values, h.q_bias, h.k_bias, h.v_bias);
        add(Op::attention_output, h.o.values);
      }
      add(Op::attention_output, l.o_bias);
      add(Op::ffn_up, l.up.values, l.up_bias);
      add(Op::ffn_down, l.down.values, l.down_bias);
    }
    add(Op::norm, parameters_.final_norm_weight, parameters_.final_norm_bias);
    add(Op::lm_head, parameters_.head().values);
    bytes[static_cast<size_t>(Op::embeddings)] = 2 * 4 * int64_t{config().d_model};
    return bytes;
  }
  double flops_per_token(int context) const override {
    double macs = 0;
    for (const auto& layer : config().layers) {
      macs += 4.0 * layer.n_heads * config().head_dim * config().d_model +
              2.0 * layer.n_heads * config().head_dim * context +
              2.0 * layer.ffn_dim * config().d_model;
    }
    if (!baseline_) macs += double(config().vocab_size) * config().d_model;
    return 2 * macs + (baseline_ ? baseline_->flops_per_token(context) : 0);  // it has one lm_head
  }
  const Parameters& parameters() const { return parameters_; }
  const MeanOutputs* means() const { return means_.get(); }
  ReferenceModel* baseline() { return baseline_.get(); }
  const IntegrationSet* integration() const override { return integration_; }

 private:
  void open_integration(const ModelOptions& options) {
    info_.mix_baseline = options.mix_baseline;
    info_.unet = options.unet;
    if (!options.mix_baseline && !options.unet) return;
    integration_weights_ = options.integration;
    integration_ = &require_set(options.integration.get(), options.mix_baseline, options.unet,
                                checkpoint_->config());
    if (!options.mix_baseline) return;
    const auto& from = options.unpruned ? options.unpruned : checkpoint_;
    check_same_family(from->config(), config());
    ModelOptions plain;
    plain.level = 0;
    plain.agency = AgencyMode::off;
    baseline_ = std::make_unique<ReferenceModel>(from, plain);
    info_.weight_bytes += baseline_->info().weight_bytes;
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
  Parameters parameters_;
  HeadTable heads_;
  ModelInfo info_;
  std::unique_ptr<MeanOutputs> means_;
  std::shared_ptr<const IntegrationWeights> integration_weights_;
  const IntegrationSet* integration_ = nullptr;
  std::unique_ptr<ReferenceModel> baseline_;
};

bool ReferenceSession::hidden_from(const HeadHistory& history, int position, int layer,
                                   int64_t head) const {
  return model_.info().kv_return == KvReturn::hole && history.factor(position, layer, head) == 0;
}

ReferenceSession::ReferenceSession(ReferenceModel& model, int max_sequences, int max_length)
    : model_(model), max_length_(max_length), tokens_(max_sequences), history_(max_sequences) {
  if (model.baseline()) {
    baseline_ = std::make_unique<ReferenceSession>(*model.baseline(), max_sequences, max_length);
  }
}

void ReferenceSession::append(int sequence, std::span<const int32_t> tokens) {
  check_sequence(sequence, max_sequences());
  check_tokens(tokens, model_.config().vocab_size);
  check_room(length(sequence), tokens.size(), max_length_);
  tokens_[sequence].insert(tokens_[sequence].end(), tokens.begin(), tokens.end());
  history_[sequence].extend(model_.heads(), model_.means(), model_.parameters().layers,
                            length(sequence));
  if (baseline_) baseline_->append(sequence, tokens);
}

// x += concat_h(f_h g_h softmax(q_h k_h^T scale + causal) v_h) Wo + bo. Closed heads are computed
// too and multiplied by 0: level 0 skips nothing.
void ReferenceSession::attention(const LayerParameters& layer, int layer_index,
                                 const HeadHistory& history, int n, int first_new,
                                 std::vector<float>& x) {
  const ModelConfig& config = model_.config();
  const int64_t d = config.d_model, hd = config.head_dim;
  const auto n_heads = static_cast<int64_t>(layer.heads.size());
  std::vector<float> normed(n * d), context(n * n_heads * hd), entropy(n * n_heads);
  for (int i = 0; i < n; ++i) {
    plain::layer_norm(&x[i * d], layer.norm1_weight.data(), layer.norm1_bias.data(),
                      config.norm_epsilon, d, &normed[i * d]);
  }
  mark(Op::norm, layer_index);
  for (int64_t h = 0; h < n_heads; ++h) {
    const HeadParameters& head = layer.heads[h];
    std::vector<float> q(n * hd), k(n * hd), v(n * hd), scores(n);
    for (int i = 0; i < n; ++i) {
      const float* in = &normed[i * d];
      plain::linear(head.q.values.data(), head.q_bias.data(), in, hd, d, &q[i * hd]);
      plain::linear(head.k.values.data(), head.k_bias.data(), in, hd, d, &k[i * hd]);
      plain::linear(head.v.values.data(), head.v_bias.data(), in, hd, d, &v[i * hd]);
    }
    mark(Op::qkv, layer_index);
    for (int i = 0; i < n; ++i) {
      plain::linear(k.data(), nullptr, &q[i * hd], i + 1, hd, scores.data());
      for (int j = 0; j <= i; ++j) scores[j] *= config.attention_scale[layer_index];
      for (int j = 0; j < i; ++j) {
        if (hidden_from(history, j, layer_index, h)) scores[j] = -1e30F;
      }
      entropy[i * n_heads + h] = static_cast<float>(plain::softmax(scores.data(), i + 1));
      const float factor = history.factor(i, layer_index, h);
      for (int64_t c = 0; c < hd; ++c) {
        double sum = 0;
        for (int j = 0; j <= i; ++j) sum += double{scores[j]} * v[j * hd + c];
        context[(i * n_heads + h) * hd + c] = static_cast<float>(sum * factor);
      }
    }
    mark(Op::attention, layer_index);
  }
  for (int i = 0; i < n; ++i) {
    const std::vector<float>& bias = history.bias(i, layer_index);
    for (int64_t o = 0; o < d; ++o) {
      double sum = bias[o];
      for (int64_t h = 0; h < n_heads; ++h) {
        const float* w = layer.heads[h].o.row(o);
        const float* c = &context[(i * n_heads + h) * hd];
        for (int64_t e = 0; e < hd; ++e) sum += double{w[e]} * c[e];
      }
      x[i * d + o] += static_cast<float>(sum);
    }
  }
  mark(Op::attention_output, layer_index);
  if (model_.info().tracking_interval > 0 && n > first_new) {
    track(layer, layer_index, history, n, first_new, context, entropy);
  }
  if (observer_ && n > first_new) {
    observer_->on_attention(layer_index, first_new, n - first_new,
                            context.data() + first_new * n_heads * hd, n_heads * hd,
                            entropy.data() + first_new * n_heads);
  }
}

// Utilisation over the new rows, contribution of the last one.
void ReferenceSession::track(const LayerParameters& layer, int layer_index,
                             const HeadHistory& history, int n, int first_new,
                             const std::vector<float>& context, const std::vector<float>& entropy) {
  const int64_t d = model_.config().d_model, hd = model_.config().head_dim;
  const auto n_heads = static_cast<int64_t>(layer.heads.size());
  for (int64_t h = 0; h < n_heads; ++h) {
    const HeadId id{layer_index, static_cast<int>(h)};
    if (!model_.heads().is_active(id)) continue;
    RunningMean utilization;
    for (int i = std::max(first_new, 1); i < n; ++i) {
      int visible = i + 1;
      for (int j = 0; j < i; ++j) visible -= hidden_from(history, j, layer_index, h);
      if (visible >= 2) utilization.add(utilization_of(entropy[i * n_heads + h], visible));
    }
    const float* c = &context[((n - 1) * n_heads + h) * hd];
    double square = 0;
    for (int64_t o = 0; o < d; ++o) {
      const float* w = layer.heads[h].o.row(o);
      double sum = 0;
      for (int64_t e = 0; e < hd; ++e) sum += double{w[e]} * c[e];
      square += sum * sum;
    }
    const uint64_t version = model_.heads().version();
    if (utilization.count > 0) model_.heads().track_utilization(id, utilization.mean());
    // Measured with the factor before: none of the mean that starts with a change.
    if (model_.heads().version() == version) {
      model_.heads().track_contribution(id, std::sqrt(square));
    }
  }
}

// x += W_down activation(W_up norm2(x) + b_up) + b_down.
void ReferenceSession::ffn(const LayerParameters& layer, int layer_index, int n, int first_new,
                           std::vector<float>& x) {
  const ModelConfig& config = model_.config();
  const int64_t d = config.d_model, f = layer.up.n_out;
  std::vector<float> normed(d), hidden(n * f), out(d);
  for (int i = 0; i < n; ++i) {
    plain::layer_norm(&x[i * d], layer.norm2_weight.data(), layer.norm2_bias.data(),
                      config.norm_epsilon, d, normed.data());
    mark(Op::norm, layer_index);
    float* row = hidden.data() + i * f;
    plain::linear(layer.up.values.data(), layer.up_bias.data(), normed.data(), f, d, row);
    for (int64_t j = 0; j < f; ++j) {
      row[j] = static_cast<float>(plain::activate(config.activation, row[j]));
    }
    mark(Op::ffn_up, layer_index);
    plain::linear(layer.down.values.data(), layer.down_bias.data(), row, d, f, out.data());
    for (int64_t o = 0; o < d; ++o) x[i * d + o] += out[o];
    mark(Op::ffn_down, layer_index);
  }
  if (observer_ && n > first_new) {
    observer_->on_ffn(layer_index, first_new, n - first_new, hidden.data() + first_new * f, f);
  }
}

void ReferenceSession::observe(int layer, Observer::Hidden where, int first_new,
                               const std::vector<float>& x) const {
  const int64_t d = model_.config().d_model;
  const auto rows = static_cast<int>(std::ssize(x) / d) - first_new;
  if (!observer_ || !observer_->wants_hidden() || rows <= 0) return;
  observer_->on_hidden(layer, where, first_new, rows, x.data() + first_new * d, d);
}

void ReferenceSession::integrate(int layer, const std::vector<std::vector<float>>& own,
                                 const std::vector<std::vector<float>>& baseline,
                                 std::vector<float>& x) const {
  const IntegrationLayer& points = (*model_.integration())[static_cast<size_t>(layer)];
  const int64_t d = model_.config().d_model;
  const int source = skip_source(model_.config().n_layers, layer);
  for (int64_t at = 0; at < std::ssize(x); at += d) {
    if (!points.baseline.empty()) {
      apply_mix(points.baseline, &baseline[static_cast<size_t>(layer) + 1][at], &x[at]);
    }
    if (!points.skip.empty()) {
      apply_mix(points.skip, &own[static_cast<size_t>(source)][at], &x[at]);
    }
  }
}

std::vector<std::vector<float>> ReferenceSession::entries(int sequence, int first_new) {
  const Parameters& p = model_.parameters();
  const ModelConfig& config = model_.config();
  const auto& tokens = tokens_[sequence];
  const auto n = static_cast<int>(tokens.size());
  const int64_t d = config.d_model;
  std::vector<float> x(n * d);
  if (trace_) trace_->begin(0);
  for (int i = 0; i < n; ++i) {
    for (int64_t c = 0; c < d; ++c) {
      x[i * d + c] = p.token_embedding.row(tokens[i])[c] + p.position_embedding.row(i)[c];
    }
  }
  std::vector<std::vector<float>> own, baseline;
  if (baseline_) baseline = baseline_->entries(sequence, first_new);
  mark(Op::embeddings, -1);
  for (int l = 0; l < config.n_layers; ++l) {
    observe(l, Observer::Hidden::layer_input, first_new, x);
    own.push_back(x);
    attention(p.layers[l], l, history_[sequence], n, first_new, x);
    observe(l, Observer::Hidden::after_attention, first_new, x);
    if (model_.integration()) integrate(l, own, baseline, x);
    ffn(p.layers[l], l, n, first_new, x);
  }
  observe(config.n_layers, Observer::Hidden::layer_input, first_new, x);
  own.push_back(std::move(x));
  return own;
}

std::vector<float> ReferenceSession::hidden(int sequence, int first_new) {
  const Parameters& p = model_.parameters();
  const ModelConfig& config = model_.config();
  const int64_t d = config.d_model;
  std::vector<float> x = std::move(entries(sequence, first_new).back());
  const auto n = static_cast<int>(std::ssize(x) / d);
  for (int i = 0; i < n; ++i) {
    plain::layer_norm(&x[i * d], p.final_norm_weight.data(), p.final_norm_bias.data(),
                      config.norm_epsilon, d, &x[i * d]);
  }
  mark(Op::norm, -1);
  return x;
}

void ReferenceSession::prefill(int sequence, std::span<const int32_t> tokens,
                               const LogitsSink& sink) {
  const int first = length(sequence);
  append(sequence, tokens);
  const std::vector<float> x = hidden(sequence, first);
  const Matrix& head = model_.parameters().head();
  std::vector<float> logits(head.n_out);
  for (int i = first; i < length(sequence); ++i) {
    plain::linear(head.values.data(), nullptr, &x[i * head.n_in], head.n_out, head.n_in,
                  logits.data());
    sink(i, 1, logits.data());
  }
  model_.heads().advance_step();
}

void ReferenceSession::prefill(int sequence, std::span<const int32_t> tokens, float* logits) {
  last_logits(sequence, tokens, logits);
  model_.heads().advance_step();
}

void ReferenceSession::last_logits(int sequence, std::span<const int32_t> tokens, float* logits) {
  const int first = length(sequence);
  append(sequence, tokens);
  const std::vector<float> x = hidden(sequence, first);
  const Matrix& head = model_.parameters().head();
  if (logits) {
    plain::linear(head.values.data(), nullptr, &x[(length(sequence) - 1) * head.n_in], head.n_out,
                  head.n_in, logits);
    mark(Op::lm_head, -1);
  }
}

void ReferenceSession::window(int sequence, std::span<const int32_t> tokens, float* logits) {
  const int64_t first = length(sequence), vocab = model_.config().vocab_size;
  prefill(sequence, tokens, [&](int position, int rows, const float* block) {
    std::copy_n(block, rows * vocab, logits + (position - first) * vocab);
  });
}

void ReferenceSession::step(std::span<const int32_t> tokens, float* logits) {
  check_tokens(tokens, model_.config().vocab_size);
  check_sequence(static_cast<int>(tokens.size()) - 1, max_sequences());
  for (size_t s = 0; s < tokens.size(); ++s) {
    last_logits(static_cast<int>(s), tokens.subspan(s, 1), logits + s * model_.config().vocab_size);
  }
  model_.heads().advance_step();
}

}  // namespace

std::unique_ptr<Model> make_reference_model(std::shared_ptr<const Checkpoint> checkpoint,
                                            const ModelOptions& options) {
  return std::make_unique<ReferenceModel>(std::move(checkpoint), options);
}

}  // namespace sentinel
