// What the public options and the command line ask of the engine.
#pragma once

#include <optional>
#include <string>

#include "model/model.h"
#include "sentinel/options.h"

namespace sentinel {

// What is asked of a model by name; what is not follows from the level.
struct ModelRequest {
  std::optional<int> level, threads;
  std::optional<std::string> isa, weights, lm_head, kv, agency;
};
// The level from the request, else OPTIMIZATION_LEVEL, else 1. Error (usage), in which
// `level_option` names the level.
ModelOptions model_options(const ModelRequest& asked, const char* level_option);

// All but integration points and head means, which need a checkpoint. Error (usage).
ModelOptions model_options(const AdaptiveOptions& options);

// What options of a measurement say as AdaptiveOptions do. Threads and agency are lists in some.
template <typename Options>
AdaptiveOptions adaptive_options(const Options& options) {
  return {.optimization_level = options.optimization_level,
          .isa = options.isa,
          .weights = options.weights,
          .lm_head = options.lm_head,
          .kv = options.kv};
}

}  // namespace sentinel
