// Gives back what removal took, without training: layer by layer, on the pruned model's own inputs.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "app/prune/least_squares.h"
#include "app/prune/sublayer.h"

namespace sentinel {

enum class Recover { none, bias, refit };
const char* to_string(Recover recover);
Recover parse_recover(std::string_view name);  // Error (usage)

// Token sequences cut from the calibration text.
struct CalibrationSet {
  TokenWindows fit, held_out;
  std::vector<int32_t> first_tokens;  // each a sequence of its own
  std::vector<float> first_weights;   // [first_tokens], sum 1
  // All token ids, ascending; empty if they are more than half of the model's vocabulary: then
  // leaving the others out of a softmax saves little.
  std::vector<int32_t> vocabulary;
};

constexpr double kMinRidge = 1e-4, kMaxMinRidge = 1;

struct RecoveryOptions {
  Recover recover = Recover::refit;
  // The smallest ridge that a refit chooses from, times the mean diagonal of the features' Gram
  // matrix. A larger one keeps weights smaller: rounded to 4 bits they lose less.
  double min_ridge = kMinRidge;
  // Position 0 will be computed with every head and the dense weights: it is left out of the fit.
  bool protect_first = false;
  bool revise = true;                 // look at every step again at the end
  WeightType type = WeightType::f32;  // that both streams are computed with
  const std::atomic<bool>* cancel = nullptr;
};

// Mean squared error of a sub-layer's output against the dense stream, on the calibration windows:
// as it was, with the best bias, with the best refit.
struct SublayerLoss {
  double none = 0, bias = 0, refit = 0;  // what was not computed stays 0
  double target = 0;                     // E|y - E y|^2
  double ridge = 0;  // chosen on the held-out windows; infinite: bias was better
  double step = 0;   // 0 to 1: how far it went from "none" to the best that was asked for
};

struct RecoveryResult {
  std::vector<SublayerLoss> losses;  // [2 * n_layers]
};

using RecoveryProgress = std::function<void(int done, int total)>;

// Changes Wo, W_down and their biases of `model`, whose heads and neurons have been removed.
// Error (interrupted).
RecoveryResult recover(EditableModel& model, const CalibrationSet& calibration,
                       const RecoveryOptions& options, SublayerRunner& runner,
                       const RecoveryProgress& progress = nullptr);

}  // namespace sentinel
