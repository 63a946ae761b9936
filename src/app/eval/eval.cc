#include "app/eval/eval.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "app/eval/base_reader.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/log_softmax.h"
#include "base/statistics.h"
#include "base/windows.h"

namespace sentinel {
namespace {

using Windows = std::vector<std::span<const int32_t>>;

// Sums over the scored tokens.
class Scorer {
 public:
  Scorer(Model& model, const Windows& windows, const EvalOptions& options,
         std::unique_ptr<BaseReader> base)
      : windows_(windows),
        options_(options),
        base_(std::move(base)),
        vocab_(model.config().vocab_size),
        session_(model.new_session(1, static_cast<int>(windows.front().size()))) {
    if (base_) kl_.reserve(windows.size() * windows.front().size());
  }

  void score_window(int index) {
    window_ = index;
    const auto inputs = static_cast<int>(windows_[index].size()) - 1;
    const double nll_before = nll_;
    session_->truncate(0, 0);
    if (base_) base_->begin_window(index);
    const int block = base_ ? std::min(inputs, base_->max_rows()) : inputs;
    for (int first = 0; first < inputs; first += block) {
      const int count = std::min(block, inputs - first);
      if (base_) base_->prepare(first, count);
      session_->prefill(0, windows_[index].subspan(first, count),
                        [&](int position, int rows, const float* logits) {
                          for (int r = 0; r < rows; ++r) {
                            score_row(position + r, logits + static_cast<size_t>(r) * vocab_);
                          }
                        });
    }
    window_nll_.push_back((nll_ - nll_before) / inputs);
  }

  double perplexity() const { return std::exp(nll_ / static_cast<double>(scored_)); }

  EvalResult result() const {
    EvalResult result;
    const double nan = std::numeric_limits<double>::quiet_NaN();
    result.tokens_scored = scored_;
    result.bytes_scored = bytes_;
    result.windows = static_cast<int>(window_nll_.size());
    result.window_nll = window_nll_;
    result.nll_mean = scored_ ? nll_ / static_cast<double>(scored_) : nan;
    result.perplexity = std::exp(result.nll_mean);
    if (bytes_ > 0) result.bits_per_byte = nll_ / std::numbers::ln2 / static_cast<double>(bytes_);
    if (base_ && scored_) result.divergence = divergence();
    return result;
  }

 private:
  void score_row(int position, const float* logits) {
    const RowStats stats = row_stats(logits, vocab_);
    check_finite(stats, window_, position);
    const int32_t target = windows_[window_][position + 1];
    nll_ += row_nll(logits, stats, target);
    ++scored_;
    if (options_.tokenizer) {
      bytes_ += static_cast<int64_t>(options_.tokenizer->token_bytes(target).size());
    }
    if (!base_) return;
    const BaseReader::Row base = base_->row(position);
    const double kl = row_kl(base.logits, base.stats, logits, stats, vocab_);
    kl_.push_back(static_cast<float>(kl));
    kl_sum_ += kl;
    base_nll_ += base.nll;
    if (base.stats.argmax == stats.argmax) ++agreements_;
  }

  Divergence divergence() const {
    const std::vector<double> kl(kl_.begin(), kl_.end());
    const auto n = static_cast<double>(scored_);
    return {kl_sum_ / n, median(kl), percentile(kl, 0.99), static_cast<double>(agreements_) / n,
            std::exp(base_nll_ / n)};
  }

  const Windows& windows_;
  const EvalOptions& options_;
  std::unique_ptr<BaseReader> base_;
  const int vocab_;
  std::unique_ptr<Session> session_;
  int window_ = 0;
  double nll_ = 0, base_nll_ = 0, kl_sum_ = 0;
  int64_t scored_ = 0, bytes_ = 0, agreements_ = 0;
  std::vector<float> kl_;  // [scored]
  std::vector<double> window_nll_;
};

}  // namespace

void check_finite(const RowStats& stats, int window, int position) {
  if (stats.finite) return;
  throw runtime_error(
      "logits at window {}, position {} are not finite: the weights overflow, or the chosen "
      "precision does where it is not f32",
      window, position);
}

Windows eval_windows(const ModelConfig& config, std::span<const int32_t> tokens,
                     const EvalOptions& options) {
  const int window = options.window == 0 ? config.context_length : options.window;
  if (window < 2 || window > config.context_length) {
    throw usage_error("window: {} is out of range; give 2 to the model's context of {}", window,
                      config.context_length);
  }
  if (options.max_windows < 0) {
    throw usage_error("max_windows: {} is negative; give 0 for all", options.max_windows);
  }
  if (tokens.size() < 2) {
    throw usage_error("text: {} tokens are too few to score; give a longer text", tokens.size());
  }
  for (const int32_t token : tokens) {
    if (token >= 0 && token < config.vocab_size) continue;
    throw usage_error(
        "text: token {} is beyond the model's vocabulary of {}; the tokenizer does "
        "not belong to this model",
        token, config.vocab_size);
  }
  const auto size = static_cast<size_t>(window);
  Windows windows = cut_windows(tokens, size, size);
  if (options.max_windows > 0 && std::ssize(windows) > options.max_windows) {
    windows.resize(static_cast<size_t>(options.max_windows));
  }
  if (windows.empty()) windows.push_back(tokens);
  return windows;
}

EvalText load_eval_text(const std::filesystem::path& path, const Tokenizer& tokenizer,
                        bool parse_special, const std::atomic<bool>* cancel) {
  const std::string text = read_text(path, cancel);
  if (text.empty()) throw bad_input("{}: it is empty; give a text to score", text_name(path));
  EvalText scored{tokenizer.encode(text, parse_special), sha256_hex(text)};
  if (scored.tokens.size() < 2) {
    throw bad_input("{}: one token is too few to score; give a longer text", text_name(path));
  }
  return scored;
}

EvalResult evaluate(Model& model, std::span<const int32_t> tokens, const EvalOptions& options,
                    const BaseLogits* base, const EvalCallback& progress) {
  const double start = now_s();
  const Windows windows = eval_windows(model.config(), tokens, options);
  auto reader = base ? BaseAccess::reader(*base, windows, model.config().vocab_size) : nullptr;
  const int n = base ? std::min<int>(base->windows(), static_cast<int>(windows.size()))
                     : static_cast<int>(windows.size());
  Scorer scorer(model, windows, options, std::move(reader));
  bool interrupted = n < static_cast<int>(windows.size());
  for (int w = 0; w < n && !interrupted; ++w) {
    if (options.cancel && options.cancel->load()) {
      interrupted = true;
      break;
    }
    scorer.score_window(w);
    if (progress) progress({w + 1, n, scorer.perplexity()});
  }
  EvalResult result = scorer.result();
  result.window = static_cast<int>(windows.front().size());
  result.interrupted = interrupted;
  result.seconds = now_s() - start;
  return result;
}

}  // namespace sentinel
