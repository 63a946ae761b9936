#include "api/model_options.h"

#include "api/level.h"
#include "base/error.h"

namespace sentinel {

ModelOptions model_options(const AdaptiveOptions& options) {
  if (options.device != "cpu") {
    throw usage_error("device: \"{}\" is not supported; the only one is cpu",
                      printable(options.device));
  }
  if (options.threads < 0 || options.threads > 1024) {
    throw usage_error("threads: {} is out of range; give a number from 1 to 1024, or 0 for all",
                      options.threads);
  }
  ModelOptions out;
  out.level = choose_optimization_level(options.optimization_level, "optimization_level");
  out.threads = options.threads;
  out.isa = options.isa;
  if (!options.weights.empty()) out.weights = parse_weight_type(options.weights);
  if (!options.lm_head.empty()) out.lm_head = parse_weight_type(options.lm_head, "lm_head");
  if (!options.kv.empty()) out.kv = parse_kv_type(options.kv);
  if (!options.agency.empty()) out.agency = parse_agency_mode(options.agency);
  out.agency_options = options.agency_options;
  out.kv_return = parse_kv_return(options.kv_return);
  out.protect_first = options.protect_first;
  return out;
}

}  // namespace sentinel
