// Pruning of the bundled model from end to end in memory and on disk.
#include "app/prune/prune.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "app/prune/loss_meter.h"
#include "app/prune/test_model.h"
#include "base/error.h"
#include "base/files.h"
#include "kernels/registry.h"
#include "model/checkpoint/model_output.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;

const std::vector<int32_t>& tokens() {
  static const std::vector<int32_t> ids = calibration_tokens(40000);
  return ids;
}

PruneOptions quick() {
  PruneOptions options;
  options.window = 128;
  options.calibration_tokens = 2048;
  options.search_tokens = 128;
  options.threads = 1;
  return options;
}

Pruner pruner(const PruneOptions& options) { return {mini(), tokens(), "text", options, nullptr}; }

// A folder that does not exist yet and is removed at the end.
class NewFolder {
 public:
  explicit NewFolder(const std::string& name)
      : path_(fs::temp_directory_path() / fmt::format("sentinel_{}_{}", name, getpid())) {
    fs::remove_all(path_);
  }
  ~NewFolder() { fs::remove_all(path_); }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

std::vector<float> logits_of(std::shared_ptr<const Checkpoint> checkpoint,
                             ModelOptions options = {}) {
  const auto model = Model::create(std::move(checkpoint), options);
  const auto session = model->new_session(1, 64);
  std::vector<float> all;
  session->prefill(0, std::span(tokens()).first(48), [&](int, int rows, const float* logits) {
    all.insert(all.end(), logits, logits + int64_t{rows} * model->config().vocab_size);
  });
  return all;
}

double max_difference(const std::vector<float>& a, const std::vector<float>& b) {
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(double{a[i]} - b[i]));
  return worst;
}

// Heads and neurons of the first layers go, in two of them all.
PruneResult pruned_by_hand(Recover recover, double min_ridge = kMinRidge) {
  PruneOptions options = quick();
  options.recover = recover;
  options.min_ridge = min_ridge;
  Pruner p = pruner(options);
  PrunePlan plan = p.make_plan();
  plan.layers[0].heads = {0, 1, 2, 3, 4, 5, 6, 7};
  plan.layers[2].heads = {1, 6};
  for (int j = 0; j < 1024; ++j) plan.layers[1].neurons.push_back(j);
  for (int j = 100; j < 148; ++j) plan.layers[3].neurons.push_back(j);
  return p.apply(plan);
}

TEST(Editable, UneditedCopyIsTheModelItself) {
  const auto copy = as_checkpoint(std::make_shared<EditableModel>(mini()));
  EXPECT_EQ(copy->parameter_count(), mini()->parameter_count());
  EXPECT_EQ(max_difference(logits_of(copy), logits_of(mini())), 0);
}

TEST(Prune, CalibrationLossOfRefitBelowBiasBelowNone) {
  const PruneResult result = pruned_by_hand(Recover::refit);
  ASSERT_EQ(result.losses.size(), 16u);
  for (const SublayerLoss& loss : result.losses) {
    EXPECT_LE(loss.refit, loss.bias * (1 + 1e-6));
    EXPECT_LE(loss.bias, loss.none * (1 + 1e-6));
  }
  EXPECT_LT(result.losses[4].refit, result.losses[4].none);
}

TEST(Prune, RefitsChooseFromTheSmallestRidgeOn) {
  for (const double smallest : {kMinRidge, 0.1}) {
    const PruneResult result = pruned_by_hand(Recover::refit, smallest);
    EXPECT_EQ(result.plan.min_ridge, smallest);
    int fitted = 0;
    for (const SublayerLoss& loss : result.losses) {
      if (loss.ridge == 0 || std::isinf(loss.ridge)) continue;  // nothing to fit; the bias was best
      EXPECT_GE(loss.ridge, smallest);
      EXPECT_LE(loss.ridge, 1000 * smallest * (1 + 1e-9));
      ++fitted;
    }
    EXPECT_GT(fitted, 0) << smallest;
  }
}

TEST(Prune, EmptyLayersRunAndKeepTheirShape) {
  const PruneResult result = pruned_by_hand(Recover::refit);
  const auto checkpoint = as_checkpoint(result.model);
  EXPECT_EQ(checkpoint->config().layers[0].n_heads, 0);
  EXPECT_EQ(checkpoint->config().layers[1].ffn_dim, 0);
  EXPECT_EQ(checkpoint->config().layers[3].ffn_dim, 976);
  const std::vector<float> fast = logits_of(checkpoint);
  EXPECT_LT(max_difference(fast, logits_of(checkpoint, {.level = 0})), 1e-3);
}

TEST(Prune, SavedModelReloadsBitExactAndPaddedGivesTheSameLogits) {
  // The bundled model's norms are exact in f16; in bf16 they are rounded like everything else.
  const std::pair<Recover, DType> cases[] = {
      {Recover::none, DType::f16}, {Recover::refit, DType::f16}, {Recover::refit, DType::bf16}};
  for (const auto& [recover, dtype] : cases) {
    const PruneResult result = pruned_by_hand(recover);
    auto model = std::make_shared<EditableModel>(*result.model);
    model->round_to(dtype);
    const auto edited = as_checkpoint(model);
    const NewFolder compact("compact"), padded("padded");
    ModelOutputOptions options;
    options.dtype = dtype;
    save_model(compact.path(), *edited, options);
    options.padded = true;
    save_model(padded.path(), *edited, options);
    const auto compact_file = Checkpoint::open(compact.path().string());
    const auto padded_file = Checkpoint::open(padded.path().string());
    EXPECT_EQ(compact_file->config().layers[2].head_ids, (std::vector<int>{0, 2, 3, 4, 5, 7}));
    EXPECT_EQ(compact_file->parameter_count(), edited->parameter_count());
    EXPECT_EQ(padded_file->parameter_count(), mini()->parameter_count());
    const std::vector<float> logits = logits_of(edited);
    EXPECT_EQ(max_difference(logits, logits_of(compact_file)), 0);
    EXPECT_LT(max_difference(logits, logits_of(padded_file)), 1e-5);
    EXPECT_THROW(save_model(compact.path(), *edited, {}), Error);  // exists
  }
}

TEST(Prune, BudgetIsMetByEveryStrategy) {
  for (const char* strategy : {"random", "magnitude", "entropy", "output", "ablation", "obs"}) {
    PruneOptions options = quick();
    options.heads = 30;
    options.ffn = 20;
    options.strategy = strategy;
    options.recover = Recover::bias;
    Pruner p = pruner(options);
    const PrunePlan plan = p.make_plan();
    EXPECT_EQ(plan.heads_removed(), 19) << strategy;      // floor(64 * 0.3)
    EXPECT_EQ(plan.neurons_removed(), 1632) << strategy;  // floor(8192 * 0.2 / 16) * 16
    for (const LayerCut& cut : plan.layers) {
      EXPECT_EQ(cut.neurons.size() % 16, 0u) << strategy;
      EXPECT_TRUE(std::is_sorted(cut.heads.begin(), cut.heads.end()));
      EXPECT_TRUE(std::is_sorted(cut.neurons.begin(), cut.neurons.end()));
      EXPECT_EQ(std::adjacent_find(cut.neurons.begin(), cut.neurons.end()), cut.neurons.end());
    }
  }
}

// Held-out loss of the model that a strategy and a recovery leave, the first position protected.
double loss_after(const char* strategy, Recover recover, int heads) {
  PruneOptions options = quick();
  options.calibration_tokens = 6144;
  options.heads = heads;
  options.strategy = strategy;
  options.recover = recover;
  options.protect_first = true;
  options.search_tokens = 768;
  Pruner p = pruner(options);
  const PruneResult result = p.apply(p.make_plan());
  ThreadPool pool(1);
  SublayerRunner runner(select_kernels(detect_cpu_features(), ""), pool);
  TokenWindows windows;  // that no calibration has seen
  for (int i = 0; i < 4; ++i)
    windows.push_back(std::span(tokens()).last(512).subspan(i * 128, 128));
  LossMeter meter(mini(), windows, runner, {.protect_first = true});
  meter.set_model(*result.model);
  return meter.loss();
}

TEST(Prune, RefitBelowBiasAndNoneAndObsBelowTheOthers) {
  ASSERT_GT(tokens().size(), 6144u + 512);
  constexpr double kTolerance = 0.01;  // nats: few tokens on both sides
  const double best = loss_after("obs", Recover::refit, 70);
  for (const char* strategy : {"random", "magnitude", "output"}) {
    const double refit = loss_after(strategy, Recover::refit, 70);
    EXPECT_LE(refit, loss_after(strategy, Recover::bias, 70) + kTolerance) << strategy;
    EXPECT_LE(refit, loss_after(strategy, Recover::none, 70) + kTolerance) << strategy;
    EXPECT_LE(best, refit + kTolerance) << strategy;
  }
}

TEST(Prune, SearchIsDeterministicAcrossRuns) {
  PruneOptions options = quick();
  options.heads = 10;
  options.ffn = 5;
  for (const Recover recover : {Recover::refit, Recover::none}) {
    options.recover = recover;
    const PrunePlan first = pruner(options).make_plan(), second = pruner(options).make_plan();
    EXPECT_EQ(to_json(first, mini()->config()), to_json(second, mini()->config()));
    EXPECT_EQ(first.heads_removed(), 6);
    EXPECT_GT(first.dense_loss, 0);
    EXPECT_FALSE(first.steps.empty());
    int64_t neurons = 0;
    for (const PruneStep& step : first.steps) neurons += step.head < 0 ? step.count : 0;
    EXPECT_EQ(neurons, first.neurons_removed());
  }
}

// Where a refit follows, `obs` may take the heads of another order: the plan says whose, and why.
TEST(Plan, NamesTheOrderThatObsTookBeforeARefit) {
  PruneOptions options = quick();
  options.heads = 20;
  options.strategy = "obs";
  options.recover = Recover::refit;
  const PrunePlan plan = pruner(options).make_plan();
  const nlohmann::json document = to_json(plan, mini()->config());
  ASSERT_EQ(document["head_trials"].size(), 3U);
  EXPECT_EQ(document["head_steps"].size(), static_cast<size_t>(plan.heads_removed()));
  EXPECT_EQ(document.contains("head_scores"), document["head_choice"] != "search");
  for (const auto& trial : document["head_trials"]) {
    EXPECT_GT(trial["loss_before_recovery"], trial["loss_after_recovery"]);
  }
  options.recover = Recover::none;
  EXPECT_FALSE(to_json(pruner(options).make_plan(), mini()->config()).contains("head_choice"));
}

TEST(Plan, RoundTripsAndRefusesOtherModels) {
  PruneOptions options = quick();
  options.heads = 40;
  options.ffn = 30;
  options.strategy = "magnitude";
  const PrunePlan plan = pruner(options).make_plan();
  const NewFolder folder("plan");
  fs::create_directories(folder.path());
  const fs::path path = folder.path() / "plan.json";
  const nlohmann::json document = to_json(plan, mini()->config());
  write_file_atomic(path, document.dump());
  const PrunePlan again = read_plan(path, mini()->config(), plan.model_sha256);
  ASSERT_EQ(again.layers.size(), plan.layers.size());
  for (size_t l = 0; l < plan.layers.size(); ++l) {
    EXPECT_EQ(again.layers[l].heads, plan.layers[l].heads);
    EXPECT_EQ(again.layers[l].neurons, plan.layers[l].neurons);
  }
  EXPECT_EQ(to_json(again, mini()->config())["head_scores"], document["head_scores"]);
  EXPECT_THROW(read_plan(path, mini()->config(), "another"), Error);
  // A replay computes as the run that wrote the plan.
  PrunePlan said = plan;
  said.protect_first = true;
  said.seed = UINT64_MAX;
  said.min_ridge = 0.01;
  write_file_atomic(path, to_json(said, mini()->config()).dump());
  EXPECT_TRUE(read_plan(path, mini()->config(), plan.model_sha256).protect_first);
  EXPECT_EQ(read_plan(path, mini()->config(), plan.model_sha256).seed, UINT64_MAX);
  EXPECT_EQ(read_plan(path, mini()->config(), plan.model_sha256).min_ridge, 0.01);
  // So does the whole result that `prune --json` prints, and a plan of an earlier version.
  nlohmann::json older = document;
  older.erase("min_ridge");
  write_file_atomic(path, nlohmann::json({{"before", 1}, {"plan", older}}).dump());
  const PrunePlan inside = read_plan(path, mini()->config(), plan.model_sha256);
  EXPECT_EQ(inside.layers[3].heads, plan.layers[3].heads);
  EXPECT_EQ(inside.min_ridge, kMinRidge);
  // Models in memory differ by their weights, too.
  const auto edited = std::make_shared<EditableModel>(mini());
  const std::string before = model_fingerprint(*as_checkpoint(edited));
  EXPECT_EQ(model_fingerprint(*as_checkpoint(edited)), before);
  edited->layers[3].down[17] += 1;
  EXPECT_NE(model_fingerprint(*as_checkpoint(edited)), before);
  const auto refuses = [&](const char* pointer, const nlohmann::json& value) {
    nlohmann::json broken = document;
    broken[nlohmann::json::json_pointer(pointer)] = value;
    write_file_atomic(path, broken.dump());
    EXPECT_THROW(read_plan(path, mini()->config(), plan.model_sha256), Error) << pointer << value;
  };
  refuses("/layers/0/heads_removed", {8});
  refuses("/protect_first", "yes");
  refuses("/seed", -1);
  refuses("/min_ridge", 0);
  refuses("/layers/0/heads_removed", {3, 2});
  refuses("/layers/0/heads_removed", {-1});
  refuses("/layers/0/heads_removed", "all");
  refuses("/layers/1/neurons_removed", {{0, 1024}});
  refuses("/layers/1/neurons_removed", {{5, 2}});
  refuses("/layers/1/neurons_removed", {7});
  refuses("/layers", nlohmann::json::array());
  refuses("/format", "else");
}

TEST(Stats, ReloadAndAreCheckedAgainstModelAndText) {
  Pruner p = pruner(quick());
  const CalibrationStats& stats = p.stats();
  const NewFolder folder("stats");
  save_stats(folder.path(), stats);
  const auto load = [&](const std::string& model, const std::string& text) {
    return load_stats(folder.path(), mini()->config(), model, text);
  };
  const CalibrationStats again = load(stats.model_sha256, "text");
  EXPECT_EQ(again.tokens, stats.tokens);
  for (size_t l = 0; l < stats.layers.size(); ++l) {
    EXPECT_EQ(again.layers[l].attention.upper, stats.layers[l].attention.upper);
    EXPECT_EQ(again.layers[l].ffn.mean, stats.layers[l].ffn.mean);
    EXPECT_EQ(again.layers[l].entropy, stats.layers[l].entropy);
  }
  EXPECT_THROW(load("another model", "text"), Error);
  EXPECT_THROW(load(stats.model_sha256, "another text"), Error);
  EXPECT_THROW(save_stats(folder.path(), stats), Error);  // exists
  fs::resize_file(folder.path() / "model.safetensors", 100000);
  EXPECT_THROW(load(stats.model_sha256, "text"), Error);
}

TEST(Stats, RefuseADamagedHeader) {
  const CalibrationStats stats = [] {
    Pruner p = pruner(quick());
    return p.stats();
  }();
  const NewFolder folder("damaged_stats");
  save_stats(folder.path(), stats);
  const fs::path file = folder.path() / "config.json";
  const nlohmann::json good = read_json(file);
  const auto load = [&](const nlohmann::json& header) {
    write_file_atomic(file, header.dump());
    return load_stats(folder.path(), mini()->config(), stats.model_sha256, "");
  };
  EXPECT_EQ(load(good).text_sha256, stats.text_sha256);
  nlohmann::json header = good;
  header.erase("text_sha256");
  EXPECT_THROW(load(header), Error);
  header["text_sha256"] = 5;
  EXPECT_THROW(load(header), Error);
  header = good;
  header["layers"][0] = 5;
  EXPECT_THROW(load(header), Error);
}

TEST(Stats, OfHeadsAloneCannotChooseNeurons) {
  CalibrationStats of_heads = pruner(quick()).stats();
  for (LayerStats& layer : of_heads.layers) layer.ffn = {};
  PruneOptions options = quick();
  options.ffn = 10;
  Pruner p = pruner(options);
  p.use_stats(of_heads);
  EXPECT_THROW(p.make_plan(), Error);
}

TEST(Prune, RefusesNonsense) {
  const auto refuses = [](auto change) {
    PruneOptions options = quick();
    change(options);
    EXPECT_THROW(pruner(options), Error);
  };
  refuses([](PruneOptions& o) { o.heads = 101; });
  refuses([](PruneOptions& o) { o.ffn = -1; });
  refuses([](PruneOptions& o) { o.heads = std::nan(""); });
  refuses([](PruneOptions& o) { o.strategy = "best"; });
  refuses([](PruneOptions& o) { o.ffn_strategy = "entropy"; });
  refuses([](PruneOptions& o) { o.round_to = 0; });
  refuses([](PruneOptions& o) { o.min_ridge = 0; });
  refuses([](PruneOptions& o) { o.min_ridge = std::nan(""); });
  refuses([](PruneOptions& o) { o.window = 4096; });
  refuses([](PruneOptions& o) { o.calibration_tokens = 10; });
  EXPECT_THROW(Pruner(mini(), std::span(tokens()).first(3), "", quick(), nullptr), Error);
  EXPECT_THROW(parse_recover("magic"), Error);
}

TEST(FirstPosition, IsTheWholeModelsWhateverIsClosed) {
  const std::vector<float> dense = logits_of(mini());
  const PruneResult result = pruned_by_hand(Recover::none);
  ModelOptions options;
  options.protect_first = true;
  options.unpruned = mini();
  const std::vector<float> protect = logits_of(as_checkpoint(result.model), options);
  for (int i = 0; i < 4096; ++i) ASSERT_NEAR(protect[i], dense[i], 1e-4);
  EXPECT_GT(max_difference(protect, dense), 0.1);  // the others are pruned

  // Heads closed at run time give the same as heads removed, with the same protection.
  std::vector<HeadId> gone = {{1, 2}, {3, 0}, {5, 7}};
  options.unpruned = nullptr;
  options.removed_heads = gone;
  const std::vector<float> removed = logits_of(mini(), options);
  options.removed_heads.clear();
  const auto model = Model::create(mini(), options);
  for (const HeadId id : gone) model->heads().set_gate(id, 0);
  const auto session = model->new_session(1, 64);
  std::vector<float> closed(4096);
  session->prefill(0, std::span(tokens()).first(48), closed.data());
  for (int i = 0; i < 4096; ++i) ASSERT_NEAR(closed[i], removed[47 * 4096 + i], 1e-4);

  // One token at a time is the same as all at once.
  session->truncate(0, 0);
  std::vector<float> step(4096);
  for (int t = 0; t < 48; ++t) session->step(std::span(tokens()).subspan(t, 1), step.data());
  for (int i = 0; i < 4096; ++i) ASSERT_NEAR(closed[i], step[i], 1e-4);
}

}  // namespace
}  // namespace sentinel
