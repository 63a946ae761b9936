#include "model/model_json.h"

#include <nlohmann/json.hpp>

namespace sentinel {

nlohmann::json model_json(const ModelInfo& info) {
  return {{"level", info.level},
          {"threads", info.threads},
          {"isa", info.isa},
          {"weights", to_string(info.weights)},
          {"lm_head", to_string(info.lm_head)},
          {"kv", kv_cache_name(info)},
          {"kv_cache", info.kv_cache},
          {"agency", to_string(info.agency)},
          {"tracking_interval", info.tracking_interval},
          {"kv_return", to_string(info.kv_return)},
          {"head_means", info.head_means},
          {"protect_first", info.protect_first},
          {"weight_bytes", info.weight_bytes}};
}

}  // namespace sentinel
