// Golden and property tests of the engine on the bundled model.
#include "model/model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/cpu_features.h"
#include "base/error.h"
#include "base/files.h"
#include "base/rng.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

std::shared_ptr<const Checkpoint> mini() {
  static const auto checkpoint =
      Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini");
  return checkpoint;
}

std::unique_ptr<Model> make(ModelOptions options) { return Model::create(mini(), options); }

struct Prompt {
  std::vector<int32_t> ids, greedy;
  std::vector<float> logits;
};

std::vector<Prompt> reference_prompts() {
  const std::string folder = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini/";
  const auto reference = read_json(folder + "reference.json");
  const std::string file = read_file(folder + "reference_logits.safetensors");
  uint64_t header_length = 0;
  std::memcpy(&header_length, file.data(), 8);
  const auto header = nlohmann::json::parse(file.substr(8, header_length));
  std::vector<Prompt> prompts;
  for (const auto& entry : reference["prompts"]) {
    Prompt prompt;
    prompt.ids = entry["ids"].get<std::vector<int32_t>>();
    prompt.greedy = entry["greedy_ids"].get<std::vector<int32_t>>();
    const auto& tensor = header[entry["logits_tensor"].get<std::string>()];
    const size_t begin = tensor["data_offsets"][0], end = tensor["data_offsets"][1];
    prompt.logits.resize((end - begin) / 4);
    std::memcpy(prompt.logits.data(), file.data() + 8 + header_length + begin, end - begin);
    prompts.push_back(prompt);
  }
  return prompts;
}

double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(double{a[i]} - b[i]));
  return worst;
}

std::vector<float> last_logits(Model& model, std::span<const int32_t> ids) {
  std::vector<float> logits(model.config().vocab_size);
  model.new_session(1, model.config().context_length)->prefill(0, ids, logits.data());
  return logits;
}

std::vector<int32_t> some_tokens(int n, uint64_t seed) {
  Rng rng(seed);
  std::vector<int32_t> ids(n);
  for (auto& id : ids) id = static_cast<int32_t>(rng.below(4095));
  return ids;
}

TEST(Golden, Level0EqualsThePublishedModel) {
  auto model = make({.level = 0});
  for (const Prompt& prompt : reference_prompts()) {
    EXPECT_LT(max_difference(last_logits(*model, prompt.ids), prompt.logits), 1e-4);
  }
}

TEST(Golden, Level1EqualsThePublishedModelOnEveryIsaAndThreadCount) {
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    for (int threads : {1, 2, 3, 7}) {
      auto model = make({.level = 1, .threads = threads, .isa = isa});
      EXPECT_EQ(model->info().isa, isa);
      EXPECT_EQ(model->info().threads, threads);
      for (const Prompt& prompt : reference_prompts()) {
        EXPECT_LT(max_difference(last_logits(*model, prompt.ids), prompt.logits), 1e-3)
            << isa << " " << threads;
      }
    }
  }
}

TEST(Golden, GreedyContinuationsAreEqual) {
  auto model = make({.level = 1});
  for (const Prompt& prompt : reference_prompts()) {
    auto session = model->new_session(1, 64);
    std::vector<float> logits(model->config().vocab_size);
    session->prefill(0, prompt.ids, logits.data());
    std::vector<int32_t> out;
    for (size_t i = 0; i < prompt.greedy.size(); ++i) {
      out.push_back(
          static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
      session->step({&out.back(), 1}, logits.data());
    }
    EXPECT_EQ(out, prompt.greedy);
  }
}

TEST(Session, DecodingTokenByTokenEqualsOnePrefill) {
  auto model = make({.level = 1, .threads = 2});
  const auto ids = some_tokens(70, 1);
  const auto whole = last_logits(*model, ids);
  auto session = model->new_session(1, 128);
  std::vector<float> logits(model->config().vocab_size);
  for (const int32_t id : ids) session->step({&id, 1}, logits.data());
  EXPECT_LT(max_difference(logits, whole), 1e-3);
  session->truncate(0, 30);
  session->prefill(0, std::span(ids).subspan(30), logits.data());
  EXPECT_LT(max_difference(logits, whole), 1e-3);
}

// Keys and values rounded to 8 bits, probabilities to 15: greedy texts stay, logits nearly so, and
// steps see what one prefill sees.
TEST(Session, AnInt8CacheIsCloseAndConsistentOnEveryIsa) {
  const auto ids = some_tokens(300, 8);
  const auto exact = last_logits(*make({.level = 1}), ids);
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    auto model = make({.level = 1, .threads = 2, .isa = isa, .kv = KvType::int8});
    const auto whole = last_logits(*model, ids);
    EXPECT_LT(max_difference(whole, exact), 0.35) << isa;
    EXPECT_GT(max_difference(whole, exact), 1e-4) << isa;
    auto session = model->new_session(1, 512);
    std::vector<float> logits(model->config().vocab_size);
    session->prefill(0, std::span(ids).first(200), static_cast<float*>(nullptr));
    for (size_t i = 200; i < ids.size(); ++i) session->step({&ids[i], 1}, logits.data());
    EXPECT_LT(max_difference(logits, whole), 2e-2) << isa;
  }
}

TEST(Session, ATokenNeverChangesEarlierLogits) {
  auto model = make({.level = 1, .threads = 2});
  auto a = some_tokens(120, 2), b = a;
  for (size_t t = 60; t < b.size(); ++t) b[t] = (b[t] + 17) % 4095;
  const auto all_logits = [&](const std::vector<int32_t>& ids) {
    std::vector<float> all;
    model->new_session(1, 128)->prefill(0, ids, [&](int, int rows, const float* logits) {
      all.insert(all.end(), logits, logits + int64_t{rows} * model->config().vocab_size);
    });
    return all;
  };
  auto la = all_logits(a), lb = all_logits(b);
  ASSERT_EQ(la.size(), a.size() * 4096);
  EXPECT_TRUE(std::equal(la.begin(), la.begin() + 60 * 4096, lb.begin()));
  EXPECT_FALSE(std::equal(la.begin() + 60 * 4096, la.end(), lb.begin() + 60 * 4096));
}

TEST(Session, ABatchEqualsSingleRuns) {
  auto model = make({.level = 1, .threads = 3});
  constexpr int kBatch = 5;
  auto session = model->new_session(kBatch, 64);
  const int vocab = model->config().vocab_size;
  std::vector<std::vector<int32_t>> prompts;
  std::vector<int32_t> next;
  for (int s = 0; s < kBatch; ++s) {
    prompts.push_back(some_tokens(3 + 7 * s, 10 + s));  // different lengths: nothing is padded
    session->prefill(s, prompts.back(), static_cast<float*>(nullptr));
    next.push_back(100 + s);
  }
  std::vector<float> logits(int64_t{kBatch} * vocab);
  session->step(next, logits.data());
  for (int s = 0; s < kBatch; ++s) {
    prompts[s].push_back(next[s]);
    const std::vector<float> row(logits.begin() + int64_t{s} * vocab,
                                 logits.begin() + int64_t{s + 1} * vocab);
    EXPECT_LT(max_difference(row, last_logits(*model, prompts[s])), 1e-3);
  }
}

TEST(Session, TheFullContextWorksAndOneMoreTokenIsRefused) {
  auto model = make({.level = 1});
  auto session = model->new_session(1, 512);
  const auto ids = some_tokens(512, 3);
  std::vector<float> logits(model->config().vocab_size);
  session->prefill(0, ids, logits.data());
  EXPECT_TRUE(std::isfinite(logits[0]));
  EXPECT_THROW(session->step({ids.data(), 1}, logits.data()), Error);
  EXPECT_THROW(model->new_session(1, 513), Error);
}

TEST(Heads, ClosedHeadsAgreeWithLevel0AndWithRemovedHeads) {
  auto truth = make({.level = 0}), fast = make({.level = 1});
  std::vector<HeadId> closed;
  Rng rng(5);
  for (int l = 0; l < 8; ++l) {
    for (int h = 0; h < 8; ++h) {
      if (l == 3 || rng.uniform() < 0.4) closed.push_back({l, h});  // layer 3 loses all of them
    }
  }
  for (const HeadId id : closed) {
    truth->heads().set_gate(id, 0);
    fast->heads().set_state(id, HeadState::withdrawn);
  }
  truth->heads().set_state({0, 0}, HeadState::overloaded);
  fast->heads().set_state({0, 0}, HeadState::overloaded);
  closed.erase(std::remove(closed.begin(), closed.end(), HeadId{0, 0}), closed.end());
  truth->heads().set_gate({0, 0}, 0.8F);
  fast->heads().set_gate({0, 0}, 0.8F);
  auto removed = make({.level = 1, .removed_heads = closed});
  removed->heads().set_state({0, 0}, HeadState::overloaded);
  removed->heads().set_gate({0, 0}, 0.8F);
  const auto ids = some_tokens(40, 6);
  const auto expected = last_logits(*truth, ids);
  EXPECT_LT(max_difference(last_logits(*fast, ids), expected), 1e-3);
  EXPECT_LT(max_difference(last_logits(*removed, ids), expected), 1e-3);
  EXPECT_LT(removed->info().weight_bytes, fast->info().weight_bytes);
  EXPECT_EQ(removed->bytes_per_token(0), fast->bytes_per_token(0));
}

TEST(Heads, AClosedHeadTakesItsOperationsAway) {
  auto model = make({.level = 1});
  const double all = model->flops_per_token(0);
  EXPECT_EQ(all, make({.level = 0})->flops_per_token(0));
  const ModelConfig& config = model->config();
  // Query times key and probability times value: 2 x 2 x head_dim for each position and head.
  const double seen = 4.0 * 100 * config.n_layers * config.layers[0].n_heads * config.head_dim;
  EXPECT_EQ(model->flops_per_token(100), all + seen);
  model->heads().set_gate({1, 2}, 0);
  const double matrices = 8.0 * config.d_model * config.head_dim;
  EXPECT_EQ(model->flops_per_token(100), all + seen - matrices - 4.0 * 100 * config.head_dim);
}

TEST(Heads, AHeadThatComesBackCatchesUpExactly) {
  auto steady = make({.level = 1}), switched = make({.level = 1});
  const auto ids = some_tokens(90, 7);
  auto a = steady->new_session(1, 128), b = switched->new_session(1, 128);
  std::vector<float> la(4096), lb(4096);
  // In `steady` the heads keep computing K and V but count nothing: a tiny gate.
  for (int t = 0; t < 90; ++t) {
    for (int l = 0; l < 8; ++l) {
      if (t == 20) {
        steady->heads().set_gate({l, 2}, 1e-9F);
        switched->heads().set_gate({l, 2}, 0);
      }
      if (t == 80) {
        steady->heads().set_gate({l, 2}, 1);
        switched->heads().set_gate({l, 2}, 1);
      }
    }
    a->step({&ids[t], 1}, la.data());
    b->step({&ids[t], 1}, lb.data());
  }
  EXPECT_LT(max_difference(la, lb), 1e-3);
}

TEST(Heads, APositionKeepsWhatTheHeadsWereThenAtLevel0Too) {
  auto truth = make({.level = 0}), fast = make({.level = 1});
  const auto ids = some_tokens(24, 8);
  auto a = truth->new_session(1, 32), b = fast->new_session(1, 32);
  std::vector<float> la(4096), lb(4096);
  for (int t = 0; t < 24; ++t) {
    for (Model* model : {truth.get(), fast.get()}) {
      for (int l = 0; l < 8 && (t == 6 || t == 14); ++l) {
        model->heads().set_gate({l, 1}, t == 6 ? 0.0F : 1.0F);
        model->heads().set_state({l, 5}, t == 6 ? HeadState::overloaded : HeadState::active);
      }
    }
    if (t == 18) {
      a->truncate(0, 12);
      b->truncate(0, 12);
    }
    a->step({&ids[t], 1}, la.data());
    b->step({&ids[t], 1}, lb.data());
    EXPECT_LT(max_difference(la, lb), 1e-3) << t;
  }
}

TEST(Session, IsNotCutToLessThanNothing) {
  for (const int level : {0, 1}) {
    const auto model = make({.level = level});
    auto session = model->new_session(1, 8);
    const int32_t token = 1;
    session->prefill(0, {&token, 1}, nullptr);
    EXPECT_THROW(session->truncate(0, -1), Error) << level;
    session->truncate(0, 5);
    EXPECT_EQ(session->length(0), 1) << level;
  }
}

TEST(Options, NonsenseIsRefused) {
  EXPECT_THROW(make({.level = 7}), Error);
  EXPECT_THROW(make({.level = 1, .threads = -1}), Error);
  EXPECT_THROW(make({.level = 1, .isa = "sse9"}), Error);
  auto model = make({.level = 1});
  EXPECT_THROW(model->heads().set_gate({0, 8}, 0), Error);
  EXPECT_THROW(model->heads().set_gate({8, 0}, 0), Error);
  EXPECT_THROW(model->heads().set_gate({0, 0}, 1.5F), Error);
  EXPECT_THROW(parse_head_state("asleep"), Error);
  auto session = model->new_session(1, 8);
  const int32_t bad = 4096;
  std::vector<float> logits(4096);
  EXPECT_THROW(session->step({&bad, 1}, logits.data()), Error);
}

}  // namespace
}  // namespace sentinel
