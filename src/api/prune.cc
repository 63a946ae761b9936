#include "app/prune/prune.h"

#include <optional>

#include "api/cancel.h"
#include "api/impl.h"
#include "app/prune/calibration.h"
#include "app/prune/ranking.h"
#include "base/error.h"
#include "base/files.h"
#include "kernels/registry.h"
#include "model/checkpoint/edited_checkpoint.h"
#include "model/checkpoint/model_output.h"

namespace sentinel {
namespace {

// Removes the closed heads of a layer and folds the factors of the others into Wo.
void apply_factors(const HeadTable& heads, int layer, int head_dim, int d_model,
                   EditableLayer& weights) {
  std::vector<int> kept;
  for (int head = 0; head < heads.n_heads(layer); ++head) {
    const float factor = heads.factor({layer, head});
    if (factor == 0) continue;
    kept.push_back(head);
    if (factor == 1) continue;
    const auto size = static_cast<size_t>(head_dim) * static_cast<size_t>(d_model);
    for (float& value : std::span(weights.o).subspan(static_cast<size_t>(head) * size, size)) {
      value *= factor;
    }
  }
  weights.keep_heads(kept, head_dim, d_model);
}

std::string calibration_text(const PruningOptions& options) {
  if (!options.calibration_text.empty()) return options.calibration_text;
  return read_file(bundled_file("texts/calibration.txt"));
}

}  // namespace

BaselineModel prune_model(const BaselineModel& model, const PruningOptions& options) {
  const BaselineModel::Impl& impl = model.impl();
  if (options.heads == 0 && options.ffn == 0 && options.save_stats.empty()) {
    throw usage_error("heads and ffn are 0: nothing to remove; give a percentage of one");
  }
  PruneOptions engine;
  engine.heads = options.heads;
  engine.ffn = options.ffn;
  engine.strategy = options.strategy;
  engine.recover = parse_recover(options.recover);
  engine.min_ridge = options.min_ridge;
  engine.round_to = options.round_to;
  engine.seed = options.seed;
  engine.threads = options.threads;
  check_new_folder(options.save_stats, "save_stats");
  const CancelFlag cancel(options.cancel);
  engine.cancel = cancel.flag();
  engine.all_stats = !options.save_stats.empty();
  PruneCallback progress;
  if (options.on_progress) {
    progress = [&](const PruneProgress& now) {
      options.on_progress(now.stage, now.done, now.total);
    };
  }
  const std::string text = calibration_text(options);
  const std::vector<int32_t> tokens = require_tokenizer(impl).encode(text);
  Pruner pruner(impl.checkpoint, tokens, sha256_hex(text), engine, progress);
  const PrunePlan plan = pruner.make_plan();
  if (!options.save_stats.empty()) save_stats(options.save_stats, pruner.stats());
  PruneResult pruned = pruner.apply(plan);
  return BaselineModel(std::make_shared<BaselineModel::Impl>(
      BaselineModel::Impl{as_checkpoint(std::move(pruned.model)), impl.tokenizer}));
}

void BaselineModel::save_pretrained(const std::string& folder, const SaveOptions& options) const {
  save_model(folder, *impl_->checkpoint,
             {.dtype = parse_dtype(options.dtype), .padded = options.padded});
}

std::vector<HeadId> AdaptiveModel::prune(int percent, const HeadPruneOptions& options) {
  const RankingStrategy& strategy = find_ranking_strategy(options.strategy);
  removal_count(0, percent);  // a bad percentage fails before any work
  const CancelFlag cancel(options.cancel);
  RankingInput input{.checkpoint = impl_->baseline.impl().checkpoint,
                     .seed = options.seed,
                     .cancel = cancel.flag()};
  std::vector<int32_t> calibration;
  std::optional<ThreadPool> pool;
  std::optional<SublayerRunner> runner;
  if (strategy.calibrates && !options.calibration_text.empty()) {
    calibration = require_tokenizer(impl_->baseline.impl()).encode(options.calibration_text);
    check_calibration("calibration_text", calibration.size());
    // Level 0's one thread and plain loops are for its logits; an order of heads needs neither.
    const ModelInfo& info = impl_->model->info();
    pool.emplace(info.level == 0 ? ThreadPool::available_cores() : info.threads);
    runner.emplace(select_kernels(detect_cpu_features(), info.level == 0 ? "" : info.isa), *pool);
    input.runner = &*runner;
    input.calibration = calibration;
  }
  const std::vector<HeadId> heads = heads_to_remove(rank_heads(strategy, input), percent);
  for (const HeadId id : heads) impl_->model->heads().set_gate(id, 0);
  return heads;
}

void AdaptiveModel::save_pretrained(const std::string& folder, const SaveOptions& options) const {
  const std::optional<DType> dtype = parse_dtype(options.dtype);
  const ModelConfig& config = impl_->checkpoint().config();
  auto edited = std::make_shared<EditableModel>(impl_->baseline.impl().checkpoint);
  std::optional<MeanOutputs> means;
  if (impl_->head_means) means.emplace(impl_->checkpoint(), *impl_->head_means);
  for (int layer = 0; layer < config.n_layers; ++layer) {
    if (means) means->add(layer, impl_->model->heads(), edited->layers[layer].o_bias.data());
    apply_factors(impl_->model->heads(), layer, config.head_dim, config.d_model,
                  edited->layers[layer]);
  }
  save_model(folder, *as_checkpoint(edited), {.dtype = dtype, .padded = options.padded});
}

}  // namespace sentinel
