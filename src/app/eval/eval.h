// Perplexity of a model on a text, and its divergence from a base model.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {

struct EvalOptions {
  int window = 0;                             // tokens per window; 0: the model's context length
  int max_windows = 0;                        // 0: all that the text gives
  const Tokenizer* tokenizer = nullptr;       // for bits_per_byte; null: not measured
  const std::atomic<bool>* cancel = nullptr;  // set: stops soon, whole windows measured are kept
};

// Called after every window.
struct EvalProgress {
  int windows_done = 0, windows = 0;
  double perplexity = 0;  // so far
};
using EvalCallback = std::function<void(const EvalProgress&)>;

struct Divergence {
  double kl_mean = 0, kl_p50 = 0, kl_p99 = 0;  // KL(base || model) per scored token, nats
  double top1_agreement = 0;                   // share of positions with the same most likely token
  double perplexity_base = 0;                  // of the base on the same tokens
};

// A perplexity of fewer scored tokens says next to nothing.
inline constexpr int64_t kMinScoredTokens = 64;

struct EvalResult {
  double perplexity = 0;
  double nll_mean = 0;  // nats per scored token
  std::optional<double> bits_per_byte;
  int64_t tokens_scored = 0;
  int64_t bytes_scored = 0;
  int window = 0;
  int windows = 0;                 // measured
  std::vector<double> window_nll;  // [windows] mean of each
  bool interrupted = false;
  double seconds = 0;
  std::optional<Divergence> divergence;
};

// The windows that a token sequence is cut into: non-overlapping, an incomplete last one dropped
// unless it is the only one. Error (usage): fewer than 2 tokens, tokens beyond the vocabulary, a
// window beyond the context.
std::vector<std::span<const int32_t>> eval_windows(const ModelConfig& config,
                                                   std::span<const int32_t> tokens,
                                                   const EvalOptions& options);

// The base's predictions on a set of windows, to compare many variants with. When they fit
// `max_bytes` they are computed once and kept (f32, else 16-bit codes over each row's range, steps
// of about 5e-4 nats), so that `base` may change or go; otherwise the base runs again beside each
// variant, in blocks of rows, and has to outlive this object unchanged.
class BaseLogits {
 public:
  static constexpr size_t kDefaultMaxBytes = size_t{512} << 20;
  // Error as evaluate().
  BaseLogits(Model& base, std::span<const int32_t> tokens, const EvalOptions& options,
             size_t max_bytes = kDefaultMaxBytes, const EvalCallback& progress = nullptr);
  ~BaseLogits();
  BaseLogits(BaseLogits&&) noexcept;

  bool stored() const;
  int windows() const;  // fewer than asked for when interrupted

 private:
  friend struct BaseAccess;  // base_reader.h
  std::unique_ptr<struct BaseStore> store_;
};

struct EvalText {
  std::vector<int32_t> tokens;  // of the whole text at once, no special tokens added
  std::string sha256;           // of the file's bytes
};
// As read_text() reads it. Error (bad_input): it is missing or empty; (interrupted). With
// parse_special as Tokenizer::encode().
EvalText load_eval_text(const std::filesystem::path& path, const Tokenizer& tokenizer,
                        bool parse_special = false, const std::atomic<bool>* cancel = nullptr);

// Perplexity of `model` as it is now (head gates included) on the tokens. With `base`, which must
// have been made from the same tokens, window and max_windows, also the divergence.
// Error (usage): tokens out of range or too few, window beyond the context, vocabularies differ;
// Error (runtime): logits that are not finite.
EvalResult evaluate(Model& model, std::span<const int32_t> tokens, const EvalOptions& options,
                    const BaseLogits* base = nullptr, const EvalCallback& progress = nullptr);

}  // namespace sentinel
