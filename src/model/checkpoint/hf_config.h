// config.json of a Hugging Face folder -> ModelConfig.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/families/family.h"

namespace sentinel {

// The family that "model_type" names. Error (bad_input) listing the known ones.
const Family& find_family(const nlohmann::json& config, const std::string& where);

// Error (bad_input) starts with `where`, the file's name.
ModelConfig parse_hf_config(const nlohmann::json& config, const std::string& where);

}  // namespace sentinel
