#include "app/sweep/recovered_models.h"

#include <algorithm>

#include "app/prune/prune.h"

namespace sentinel {

std::shared_ptr<const Checkpoint> RecoveredModels::without(
    const std::vector<HeadId>& removed) const {
  PruneOptions options;
  options.recover = recover;
  options.threads = threads;
  options.isa = isa;
  options.cancel = cancel;
  PrunePlan plan;
  plan.layers.resize(checkpoint->config().layers.size());
  for (const HeadId id : removed) plan.layers[id.layer].heads.push_back(id.head);
  Pruner pruner(checkpoint, tokens, "", options, nullptr);
  const PruneResult result = pruner.apply(plan);

  auto whole = std::make_shared<EditableModel>(checkpoint);
  const ModelConfig& config = checkpoint->config();
  const int64_t block = int64_t{config.head_dim} * config.d_model;
  for (size_t l = 0; l < whole->layers.size(); ++l) {
    EditableLayer& layer = whole->layers[l];
    const EditableLayer& refitted = result.model->layers[l];
    for (size_t i = 0; i < refitted.head_ids.size(); ++i) {
      const auto to =
          std::lower_bound(layer.head_ids.begin(), layer.head_ids.end(), refitted.head_ids[i]) -
          layer.head_ids.begin();
      std::copy_n(refitted.o.begin() + static_cast<int64_t>(i) * block, block,
                  layer.o.begin() + to * block);
    }
    layer.o_bias = refitted.o_bias;
    layer.down = refitted.down;
    layer.down_bias = refitted.down_bias;
  }
  return as_checkpoint(std::move(whole));
}

}  // namespace sentinel
