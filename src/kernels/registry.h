// Which instruction set runs: chosen once, when a model is made.
#pragma once

#include <string>
#include <vector>

#include "base/cpu_features.h"
#include "kernels/types.h"

namespace sentinel {

// The instruction sets this CPU can run, best first; "scalar" is always the last.
std::vector<std::string> available_isas(const CpuFeatures& features);

// `name` empty: the environment's SENTINEL_ISA, and if that is empty too the best available.
// Error (usage) for an unknown name or one this CPU cannot run.
KernelTable select_kernels(const CpuFeatures& features, const std::string& name);

}  // namespace sentinel
