#include "cli/result_json.h"

#include <cmath>

namespace sentinel::cli {

nlohmann::json number(double value) {
  return std::isfinite(value) ? nlohmann::json(value) : nlohmann::json(nullptr);
}

}  // namespace sentinel::cli
