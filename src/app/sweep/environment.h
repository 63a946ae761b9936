// The machine and the build that a result was measured on.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "app/machine/machine.h"

namespace sentinel {

// Seconds since 1970, and the same moment as local ISO 8601 text and as "YYYYMMDD_HHMMSS".
struct Moment {
  double seconds;
  std::string iso, compact;
};
Moment current_moment();

// The environment section, without the measured bandwidth.
nlohmann::json describe_environment(const Moment& moment);

nlohmann::json to_json(const MachineSpeed& speed);
MachineSpeed read_machine_speed(const nlohmann::json& object);

// Bytes per second that these threads read from a working set of this size: of the smallest
// measured footprint that holds it, of the largest for what is larger still. 0 when nothing was
// measured.
double bandwidth_for(const MachineSpeed& speed, int64_t bytes);

}  // namespace sentinel
