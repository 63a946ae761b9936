#include "api/model_options.h"

#include "api/level.h"
#include "base/error.h"

namespace sentinel {

ModelOptions model_options(const ModelRequest& asked, const char* level_option) {
  ModelOptions out;
  out.level = choose_optimization_level(asked.level, level_option);
  out.threads = asked.threads.value_or(0);
  out.isa = asked.isa.value_or("");
  if (asked.weights) out.weights = parse_weight_type(*asked.weights);
  if (asked.lm_head) out.lm_head = parse_weight_type(*asked.lm_head, "lm_head");
  if (asked.kv) out.kv = parse_kv_type(*asked.kv);
  if (asked.agency) out.agency = parse_agency_mode(*asked.agency);
  return out;
}

ModelOptions model_options(const AdaptiveOptions& options) {
  if (options.device != "cpu") {
    throw usage_error("device: \"{}\" is not supported; the only one is cpu",
                      printable(options.device));
  }
  if (options.threads < 0 || options.threads > 1024) {
    throw usage_error("threads: {} is out of range; give a number from 1 to 1024, or 0 for all",
                      options.threads);
  }
  const auto named = [](const std::string& name) {
    return name.empty() ? std::nullopt : std::optional(name);
  };
  ModelOptions out = model_options({.level = options.optimization_level,
                                    .threads = options.threads,
                                    .isa = options.isa,
                                    .weights = named(options.weights),
                                    .lm_head = named(options.lm_head),
                                    .kv = named(options.kv),
                                    .agency = named(options.agency)},
                                   "optimization_level");
  out.agency_options = options.agency_options;
  out.kv_return = parse_kv_return(options.kv_return);
  out.protect_first = options.protect_first;
  return out;
}

}  // namespace sentinel
