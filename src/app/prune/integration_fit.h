// Weights of the integration points in closed form: layer by layer, by feature, so that the pruned
// model's residual stream behind a decoder layer's attention comes closest to the dense model's.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"

namespace sentinel {

struct IntegrationFitOptions {
  int window = 0;              // tokens; 0: the model's context
  int64_t max_tokens = 16384;  // windows spread over the calibration text; every 4th decides only
  double ridge = 1e-3;         // of each regressor's variance
  const std::atomic<bool>* cancel = nullptr;
};

// One set of points: what they brought on the held-out part.
struct IntegrationFitSet {
  std::string name;                        // "unet", "mix" or "both"
  double loss_before = 0, loss_after = 0;  // nats per token
  int layers = 0, layers_kept = 0;         // decoder layers that have such a point
};

struct IntegrationFit {
  std::shared_ptr<const IntegrationWeights> weights;
  std::vector<IntegrationFitSet> sets;  // [3]
  int64_t tokens = 0;
};

nlohmann::json to_json(const IntegrationFitSet& set);

// Error (usage): there is no such window, or a text of so many tokens has too few.
void check_integration_text(size_t tokens, const ModelConfig& config,
                            const IntegrationFitOptions& options);

using IntegrationFitProgress = std::function<void(const std::string& set, int done, int total)>;

// `pruned` and its removed_heads against `dense` (the same checkpoint when heads are only removed
// in memory). A layer's points that do not clearly lower the loss of the windows held out are left
// out. Deterministic. Error (usage): too few tokens, models of different shapes; Error
// (interrupted).
IntegrationFit fit_integration(std::shared_ptr<const Checkpoint> dense,
                               std::shared_ptr<const Checkpoint> pruned,
                               const std::vector<HeadId>& removed_heads,
                               std::span<const int32_t> tokens, std::shared_ptr<ThreadPool> pool,
                               const std::string& isa, const IntegrationFitOptions& options,
                               const IntegrationFitProgress& progress = nullptr);

}  // namespace sentinel
