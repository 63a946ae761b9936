// Options and result of perplexity measurements.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace sentinel {

class AdaptiveModel;

// The text is tokenised whole and cut into non-overlapping windows; the first token of a window is
// not scored; an incomplete last window is dropped unless it is the only one.
struct EvaluationOptions {
  int window = 0;                    // tokens; 0: the model's context length
  int max_windows = 0;               // 0: all
  AdaptiveModel* against = nullptr;  // a base to measure the divergence from
  std::stop_token cancel = {};       // requested: stops soon, keeps whole windows measured
  std::function<bool(int windows_done, int windows)> on_window = {};  // false: the same
};

struct EvaluationDivergence {
  double kl_mean = 0, kl_p50 = 0, kl_p99 = 0;  // KL(base || model) per scored token, nats
  double top1_agreement = 0;                   // share of positions with the same likeliest token
  double perplexity_base = 0;
};

struct EvaluationResult {
  double perplexity = 0;
  double nll_mean = 0;  // nats per scored token
  double bits_per_byte = 0;
  int64_t tokens_scored = 0;
  int window = 0, windows = 0;  // tokens in one; how many were measured
  std::string text_sha256;
  int optimization_level = 0;
  std::string isa;
  bool interrupted = false;
  double seconds = 0;
  std::optional<EvaluationDivergence> divergence;  // with `against`
};

}  // namespace sentinel
