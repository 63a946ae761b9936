// The machine and the build that a result was measured on.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace sentinel {

// Seconds since 1970, and the same moment as local ISO 8601 text and as "YYYYMMDD_HHMMSS".
struct Moment {
  double seconds;
  std::string iso, compact;
};
Moment current_moment();

// The environment section, without the measured bandwidth.
nlohmann::json describe_environment(const Moment& moment);

}  // namespace sentinel
