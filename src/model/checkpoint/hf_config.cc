#include "model/checkpoint/hf_config.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/families/config_reader.h"

namespace sentinel {

const Family& find_family(const nlohmann::json& config, const std::string& where) {
  const std::string type = ConfigReader(config, where).text("model_type", "");
  std::string known;
  for (const Family& family : all_families()) {
    if (family.model_type == type) return family;
    if (!known.empty()) known += ", ";
    known += family.model_type;
  }
  if (type.empty()) {
    throw bad_input("{}: has no \"model_type\" (known: {})", where, known);
  }
  throw bad_input("{}: model_type \"{}\" is not supported (known: {})", where, printable(type, 40),
                  known);
}

ModelConfig parse_hf_config(const nlohmann::json& config, const std::string& where) {
  return find_family(config, where).parse_config(config, where);
}

}  // namespace sentinel
