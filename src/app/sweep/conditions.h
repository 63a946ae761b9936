// What the machine was doing while something was timed: the neighbours' load, clock, pinning.
#pragma once

#include <nlohmann/json.hpp>

namespace sentinel {

class Conditions {
 public:
  // From now on.
  Conditions();
  // Until now: stage, seconds, cpus (that this process may use), pinned (whether that is fewer than
  // there are), own_cpu_percent and neighbours_cpu_percent and steal_percent (of the time of those
  // cpus; null where /proc/stat does not tell), load_average and frequency_mhz {begin, end},
  // governor.
  nlohmann::json finish(const char* stage) const;

 private:
  double wall_, own_cpu_;           // s
  double busy_ = -1, stolen_ = -1;  // s, of the usable cpus since the start of the machine
  double load_ = -1, frequency_ = -1;
};

}  // namespace sentinel
