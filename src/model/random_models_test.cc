// Random small models and random sequences of calls, against the plain model, scalar code, another
// number of threads and single steps.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/rng.h"
#include "kernels/registry.h"
#include "model/checkpoint/memory_checkpoint.h"
#include "model/model.h"
#include "model/testing/plain_model.h"

namespace sentinel {
namespace {

using testing::Doubles;
using testing::PlainModel;
using testing::Trace;
using Rows = std::vector<std::vector<float>>;

class Dice : public Rng {
 public:
  using Rng::Rng;
  int in(int low, int high) { return low + static_cast<int>(below(uint64_t(high - low + 1))); }
  bool chance(double p) { return uniform() < p; }
  template <typename T>
  T one_of(std::initializer_list<T> list) {
    return *(list.begin() + below(list.size()));
  }
};

struct Shape {
  explicit Shape(Dice& dice) : layers(dice.in(1, 4)) {
    do {
      heads = dice.in(1, 13);
      head_dim = dice.chance(0.5) ? dice.one_of({1, 8, 31, 32, 33, 64, 96}) : dice.in(1, 96);
    } while (heads * head_dim > 220);
    d = heads * head_dim;
    for (int l = 0; l < layers; ++l) {
      const double share = dice.one_of({0.0, 0.0, 0.4, 1.0});
      pruned.emplace_back();
      for (int h = 0; h < heads; ++h) {
        if (dice.uniform() < share) pruned.back().push_back(h);
      }
      ffn.push_back(dice.chance(0.12) ? 0 : dice.in(1, 4 * d));
    }
  }
  int layers, heads, head_dim, d;
  std::vector<std::vector<int>> pruned;  // [layers]
  std::vector<int> ffn;                  // [layers]
};

// The same seed gives the same heads, whichever of them are left out.
std::shared_ptr<const Checkpoint> make_checkpoint(const Shape& s, bool pruned, uint64_t seed) {
  Dice dice(seed);
  const DType type = dice.one_of({DType::f32, DType::f16, DType::bf16});
  const int vocab = dice.in(10, 90), context = dice.one_of({5, 17, 70, 150, 530});
  const bool tied = dice.chance(0.5);
  nlohmann::json config = {{"model_type", "gpt2"},
                           {"n_layer", s.layers},
                           {"n_head", s.heads},
                           {"n_embd", s.d},
                           {"n_positions", context},
                           {"vocab_size", vocab},
                           {"activation_function", dice.one_of({"gelu_new", "gelu", "relu"})},
                           {"tie_word_embeddings", tied},
                           {"scale_attn_by_inverse_layer_idx", dice.chance(0.2)},
                           {"sentinel", {{"ffn_dims", s.ffn}}}};
  auto memory = std::make_shared<std::deque<std::vector<std::byte>>>();
  MemoryCheckpointSource source{"", {}, memory, {}};
  // Elements whose row or column (`by_row`, counted modulo d) belongs to a head in `gone` are out.
  const auto add = [&](const std::string& name, std::vector<int64_t> shape, double scale,
                       double mean = 0, const std::vector<int>& gone = {}, bool by_row = false) {
    const int64_t columns = shape.back(), all = shape.size() == 2 ? shape[0] * columns : columns;
    std::vector<float> values;
    for (int64_t i = 0; i < all; ++i) {
      const double value = mean + scale * dice.normal();
      const int64_t head = (by_row ? i / columns : i % columns) % s.d / s.head_dim;
      if (!std::count(gone.begin(), gone.end(), head)) values.push_back(static_cast<float>(value));
    }
    (by_row ? shape.front() : shape.back()) *= s.heads - std::ssize(gone);
    (by_row ? shape.front() : shape.back()) /= s.heads;
    auto& bytes = memory->emplace_back(values.size() * size_of(type) + 1);
    store_elements(values.data(), type, std::ssize(values), bytes.data());
    const char* dtype = type == DType::f32 ? "F32" : type == DType::f16 ? "F16" : "BF16";
    source.tensors.push_back({name, dtype, std::move(shape), bytes.data(), 0});
  };
  const auto by = [](int n) { return n > 0 ? 1 / std::sqrt(double(n)) : 0; };
  add("wte.weight", {vocab, s.d}, 0.7);
  add("wpe.weight", {context, s.d}, 0.4);
  for (int l = 0; l < s.layers; ++l) {
    const std::string name = fmt::format("h.{}.", l);
    const std::vector<int> gone = pruned ? s.pruned[l] : std::vector<int>{};
    if (pruned) config["pruned_heads"][std::to_string(l)] = gone;
    for (const char* norm : {"ln_1", "ln_2"}) {
      add(name + norm + ".weight", {s.d}, 0.2, 1);
      add(name + norm + ".bias", {s.d}, 0.1);
    }
    add(name + "attn.c_attn.weight", {s.d, 3 * s.d}, 1.5 * by(s.d), 0, gone);
    add(name + "attn.c_attn.bias", {3 * s.d}, 0.2, 0, gone);
    add(name + "attn.c_proj.weight", {s.d, s.d}, by(s.d), 0, gone, true);
    add(name + "attn.c_proj.bias", {s.d}, 0.1);
    add(name + "mlp.c_fc.weight", {s.d, s.ffn[l]}, 1.2 * by(s.d));
    add(name + "mlp.c_fc.bias", {s.ffn[l]}, 0.2);
    add(name + "mlp.c_proj.weight", {s.ffn[l], s.d}, by(s.ffn[l]));
    add(name + "mlp.c_proj.bias", {s.d}, 0.1);
  }
  add("ln_f.weight", {s.d}, 0.2, 1);
  add("ln_f.bias", {s.d}, 0.1);
  if (!tied) add("lm_head.weight", {vocab, s.d}, 2 * by(s.d));
  source.config_json = config.dump();
  return open_memory_checkpoint(std::move(source));
}

// A model and its twins: another number of threads (the same bits), scalar code, single steps in
// place of windows (the same bits), and the definition.
class Case {
 public:
  explicit Case(uint64_t seed) : dice_(seed), shape_(dice_) {
    const bool pruned = dice_.chance(0.5);
    dense_ = make_checkpoint(shape_, false, seed);
    checkpoint_ = pruned ? make_checkpoint(shape_, true, seed) : dense_;
    choose_options(pruned, seed);
    sequences_ = dice_.chance(0.5) ? 1 : dice_.one_of({2, 3, 17});
    const int context = checkpoint_->config().context_length;
    max_length_ = dice_.chance(0.7) ? context : dice_.in(1, context);
    add_twin(options_);
    ModelOptions other = options_;
    other.threads = options_.threads % 3 + 1;
    add_twin(other);
    other.isa = "scalar";
    add_twin(other);
    if (sequences_ == 1 && options_.level > 0 && dice_.chance(0.5)) {
      stepper_ = models_[0]->new_session(1, max_length_);
    }
    definition_ = std::make_unique<PlainModel>(checkpoint_, sequences_);
    const auto& unpruned = options_.unpruned ? options_.unpruned : checkpoint_;
    if (options_.mix_baseline) baseline_ = std::make_unique<PlainModel>(unpruned, sequences_);
    if (options_.protect_first && (options_.unpruned || !options_.removed_heads.empty())) {
      first_ = std::make_unique<PlainModel>(unpruned, 1);
    }
  }

  void play(int operations) {
    for (int i = 0; i < operations && !::testing::Test::HasFatalFailure(); ++i) {
      const double u = dice_.uniform();
      const int s = dice_.in(0, sequences_ - 1), length = sessions_[0]->length(s);
      if (u < 0.6) {
        feed(s);
      } else if (u < 0.75) {
        truncate(s, dice_.chance(0.3) ? 0 : dice_.in(0, length));
      } else {
        // Level 0 computes a whole sequence with the heads as they are.
        for (int t = 0; options_.level == 0 && t < sequences_; ++t) truncate(t, 0);
        for (int n = dice_.in(1, 6); n > 0; --n) change_head();
      }
    }
  }

 private:
  void choose_options(bool pruned, uint64_t seed) {
    const auto isas = available_isas(detect_cpu_features());
    const ModelConfig& c = checkpoint_->config();
    ModelOptions& o = options_;
    o.level = dice_.chance(0.1) && c.context_length < 100 ? 0 : dice_.in(1, 3);
    o.isa = isas[seed % isas.size()];
    o.threads = dice_.in(1, 3);
    if (o.level > 0 && dice_.chance(0.8)) {
      o.weights = dice_.one_of({WeightType::f32, WeightType::f32, WeightType::bf16,
                                WeightType::int8, WeightType::int6, WeightType::int4});
      o.kv = dice_.one_of({KvType::f32, KvType::f32, KvType::bf16, KvType::int8});
    }
    o.protect_first = o.level > 0 && dice_.chance(0.35);
    if (pruned && dice_.chance(0.6)) o.unpruned = dense_;
    const bool removes = dice_.chance(0.3);
    auto means = std::make_shared<HeadMeans>();
    for (int l = 0; l < c.n_layers; ++l) {
      for (int h = 0; removes && h < c.layers[l].n_heads; ++h) {
        if (dice_.chance(0.4)) o.removed_heads.push_back({l, h});
      }
      means->layers.push_back(numbers(c.layers[l].n_heads * c.head_dim, 0, 0.5));
    }
    if (dice_.chance(0.3)) o.head_means = means;
    o.mix_baseline = dice_.chance(0.3);
    o.unet = dice_.chance(0.3);
    IntegrationSet set(static_cast<size_t>(c.n_layers));
    for (int l = c.n_layers / 2; l < c.n_layers; ++l) {
      if (o.mix_baseline) set[l].baseline = random_mix(c.d_model);
      if (o.unet && skip_source(c.n_layers, l) >= 0) set[l].skip = random_mix(c.d_model);
    }
    o.integration = std::make_shared<IntegrationWeights>(IntegrationWeights{set, set, set});
  }
  std::vector<float> numbers(int n, double mean, double scale) {
    std::vector<float> values;
    for (int i = 0; i < n; ++i) values.push_back(static_cast<float>(mean + scale * dice_.normal()));
    return values;
  }
  FeatureMix random_mix(int d) {
    return {numbers(d, 0.6, 0.2), numbers(d, 0.3, 0.2), numbers(d, 0, 0.1)};
  }
  void add_twin(const ModelOptions& options) {
    models_.push_back(Model::create(checkpoint_, options));
    sessions_.push_back(models_.back()->new_session(sequences_, max_length_));
  }

  void truncate(int s, int length) {
    log_ += fmt::format("truncate({}, {}) ", s, length);
    for (auto& session : sessions_) session->truncate(s, length);
    for (PlainModel* model : {definition_.get(), baseline_.get()}) {
      if (model) model->truncate(s, length);
    }
    if (stepper_) stepper_->truncate(s, length);
  }

  void change_head() {
    const int l = dice_.in(0, shape_.layers - 1), n = models_[0]->heads().n_heads(l);
    if (n == 0) return;
    const HeadId id{l, dice_.in(0, n - 1)};
    const int kind = dice_.in(0, 2);
    const auto state = dice_.one_of({HeadState::active, HeadState::active, HeadState::overloaded,
                                     HeadState::misaligned, HeadState::withdrawn});
    const float gate = dice_.one_of({0.0F, 0.25F, 1.0F, 1.0F});
    const bool consent = dice_.chance(0.6);
    log_ += fmt::format("{}:{} {} {} {} {} ", l, id.head, kind, to_string(state), gate, consent);
    for (auto& model : models_) {
      try {
        if (kind == 0) model->heads().set_state(id, state);
        if (kind == 1) model->heads().set_gate(id, gate);
        if (kind == 2) model->heads().set_consent(id, consent);
      } catch (const Error&) {  // it was removed
      }
    }
  }

  enum class Call { prefill, sink, window, step };
  Rows run(Session& session, Call call, int s, std::span<const int32_t> tokens) {
    const auto vocab = static_cast<size_t>(checkpoint_->config().vocab_size);
    std::vector<float> all(vocab * (call == Call::prefill ? 1 : tokens.size()));
    if (call == Call::prefill) session.prefill(s, tokens, all.data());
    if (call == Call::window) session.window(s, tokens, all.data());
    if (call == Call::step) session.step(tokens, all.data());
    float* next = all.data();
    if (call == Call::sink) {
      session.prefill(s, tokens, [&](int, int rows, const float* logits) {
        next = std::copy_n(logits, static_cast<size_t>(rows) * vocab, next);
      });
    }
    Rows rows;
    for (size_t i = 0; i < all.size(); i += vocab) rows.emplace_back(&all[i], &all[i] + vocab);
    return rows;
  }

  // Some tokens for sequence s, or one for each of the first sequences.
  void feed(int s) {
    const Call call = stepper_ && dice_.chance(0.4)
                          ? Call::window
                          : dice_.one_of({Call::prefill, Call::prefill, Call::sink, Call::window,
                                          Call::step, Call::step, Call::step});
    int room = max_length_ - sessions_[0]->length(s), n = dice_.in(1, sequences_);
    for (int t = 0; call == Call::step && t < n; ++t) {
      room = std::min(room, max_length_ - sessions_[0]->length(t));
    }
    if (room == 0) return;
    if (call != Call::step) {
      const int most = call == Call::window ? 20 : dice_.one_of({1, 4, 16, 40, 130, 600});
      n = dice_.in(1, std::min(room, most));
    }
    static constexpr const char* kNames[] = {"prefill", "sink", "window", "step"};
    log_ += fmt::format("{}({}, {}) ", kNames[static_cast<int>(call)], s, n);
    std::vector<int32_t> tokens;
    for (int i = 0; i < n; ++i) tokens.push_back(dice_.in(0, checkpoint_->config().vocab_size - 1));
    std::vector<Trace> traces;
    for (int i = 0; i < n; ++i) traces.push_back(expected(call == Call::step ? i : s, tokens[i]));
    Rows rows[3];
    for (int i = 0; i < 3; ++i) rows[i] = run(*sessions_[i], call, s, tokens);
    ASSERT_EQ(rows[0], rows[1]) << "other threads, other bits: " << describe();
    if (stepper_) {
      Rows steps;
      for (size_t i = 0; call == Call::window && i < tokens.size(); ++i) {
        steps.push_back(run(*stepper_, Call::step, 0, {&tokens[i], 1})[0]);
      }
      if (call != Call::window) steps = run(*stepper_, call, 0, tokens);
      ASSERT_EQ(rows[0], steps) << "single steps have other bits: " << describe();
    }
    for (size_t i = 0; i < rows[0].size() && !::testing::Test::HasFatalFailure(); ++i) {
      compare(rows[0][i], traces[traces.size() - rows[0].size() + i].logits, rows[2][i]);
    }
  }

  // What the definition gives for the next token of a sequence.
  Trace expected(int s, int32_t token) {
    const HeadTable& heads = models_[0]->heads();
    const auto open = [](int, int) { return 1.0; };
    Trace mixed;
    if (baseline_) mixed = baseline_->forward(s, token, open, nullptr, nullptr, nullptr);
    if (!options_.protect_first || definition_->length(s) > 0) {
      return definition_->forward(
          s, token,
          [&](int l, int h) {
            return double{heads.factor({l, h})};
          },
          options_.head_means.get(), models_[0]->integration(), baseline_ ? &mixed : nullptr);
    }
    PlainModel& from = first_ ? *first_ : *definition_;
    if (first_) first_->truncate(0, 0);
    const auto consents = [&](int l, int h) {
      const auto& ids = definition_->config().layers[l].head_ids;
      const int id = from.config().layers[l].head_ids[h];
      const auto at = std::find(ids.begin(), ids.end(), id);
      const bool kept = at != ids.end();
      return !kept || heads.status({l, static_cast<int>(at - ids.begin())}).consent ? 1.0 : 0.0;
    };
    Trace trace = from.forward(first_ ? 0 : s, token, consents, nullptr, nullptr, nullptr);
    if (first_) definition_->take_first(s, *first_);
    return trace;
  }

  // Distances relative to the row. A norm over few features turns roundings into signs, so that
  // low precision has no bound there.
  void compare(const std::vector<float>& got, const Doubles& want,
               const std::vector<float>& scalar) {
    double error = 0, twin = 0, square = static_cast<double>(want.size());
    for (size_t i = 0; i < want.size(); ++i) {
      ASSERT_TRUE(std::isfinite(got[i])) << describe();
      error += std::pow(got[i] - want[i], 2);
      twin += std::pow(got[i] - scalar[i], 2);
      square += want[i] * want[i];
    }
    const ModelInfo& info = models_[0]->info();
    const auto type = std::max(info.weights, info.lm_head);
    constexpr double kBounds[kWeightTypes] = {1e-4, 0.1, 0.3, 0.5, 0.8};
    constexpr double kTwinBounds[kWeightTypes] = {1e-4, 0.01, 0.04, 0.06, 0.1};
    const auto at = std::max(static_cast<size_t>(type), static_cast<size_t>(info.kv));
    if (at == 0 ? shape_.d < 8 : shape_.d < 24) return;
    error = std::sqrt(error / square), twin = std::sqrt(twin / square);
    ASSERT_LT(error, kBounds[at]) << describe();
    ASSERT_LT(twin, kTwinBounds[at] + 0.3 * error) << "beside scalar code: " << describe();
  }

  std::string describe() const {
    const ModelInfo& i = models_[0]->info();
    return fmt::format("level {} {}, weights {}, kv {}, protect_first {}, {}", i.level, i.isa,
                       to_string(i.weights), to_string(i.kv), i.protect_first, log_);
  }

  Dice dice_;
  Shape shape_;
  std::shared_ptr<const Checkpoint> dense_, checkpoint_;
  ModelOptions options_;
  int sequences_, max_length_;
  std::vector<std::unique_ptr<Model>> models_;  // the model, with other threads, scalar
  std::vector<std::unique_ptr<Session>> sessions_;
  std::unique_ptr<Session> stepper_;  // of the model
  std::unique_ptr<PlainModel> definition_, baseline_, first_;
  std::string log_;  // what was done
};

TEST(RandomModels, LogitsFollowTheDefinition) {
  for (uint64_t seed = 0; seed < 130 && !HasFatalFailure(); ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Case(seed).play(25);
  }
}

}  // namespace
}  // namespace sentinel
