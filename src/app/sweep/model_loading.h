// How long a model takes to load, and what it occupies.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "app/report/profile_result.h"
#include "model/model.h"

namespace sentinel {

// Baseline: opening the checkpoint and packing plain f32, ready to run. Original and optimized:
// opening it and making that variant. After one untimed pass the three are loaded in turn,
// `iterations` times but at most three, so that all find the file in the page cache. Error
// (interrupted).
LoadingResult time_loading(const std::string& model, const ModelOptions& baseline,
                           const ModelOptions& original, const ModelOptions& optimized,
                           int iterations, const std::function<void(int done, int total)>& progress,
                           const std::atomic<bool>* cancel);

}  // namespace sentinel
