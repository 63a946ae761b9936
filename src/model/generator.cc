#include "model/generator.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "model/session_checks.h"

namespace sentinel {
namespace {

double ms_since(double start_s) { return (now_s() - start_s) * 1e3; }

void check(const Session& session, std::span<const int32_t> prompt,
           const GenerateOptions& options) {
  if (options.max_new_tokens < 1) {
    throw usage_error("max_new_tokens: {} is out of range; give 1 or more", options.max_new_tokens);
  }
  if (prompt.empty()) throw usage_error("prompt: it is empty; give at least one character");
  for (const std::string& stop : options.stop) {
    if (stop.empty()) throw usage_error("stop: a text is empty; give at least one character");
  }
  if (prompt.size() > static_cast<size_t>(session.max_length())) {
    throw usage_error("prompt: {} tokens are more than the context of {}; shorten it",
                      prompt.size(), session.max_length());
  }
}

// One run: the loop's state, so that each part of it stays small.
class Run {
 public:
  Run(Session& session, const Tokenizer& tokenizer, int vocab_size, int eos_token,
      const GenerateOptions& options, const TextCallback& callback)
      : session_(session),
        tokenizer_(tokenizer),
        eos_token_(options.ignore_eos ? -1 : eos_token),
        options_(options),
        callback_(callback),
        sampler_(options.sampling, vocab_size),
        stop_(options.stop),
        logits_(static_cast<size_t>(vocab_size)) {}

  Generation run(std::span<const int32_t> prompt) {
    const size_t room = static_cast<size_t>(session_.max_length()) - prompt.size() + 1;
    const size_t most = std::min(room, static_cast<size_t>(options_.max_new_tokens));
    out_.tokens.reserve(most);
    out_.timings.step_ns.reserve(most);
    const struct Tracing {
      Session& session;
      ~Tracing() { session.set_trace(nullptr); }
    } tracing{session_};
    if (options_.timer) session_.set_trace(&options_.timer->trace());
    announce();
    prefill(prompt);
    while (take(sample())) {
      if (out_.tokens.size() == most) {
        out_.stop_reason = most == static_cast<size_t>(options_.max_new_tokens)
                               ? StopReason::length
                               : StopReason::context;
        break;
      }
      announce();
      step(out_.tokens.back());
    }
    finish_text();
    return std::move(out_);
  }

 private:
  void announce() {
    if (options_.before_token) options_.before_token(static_cast<int>(out_.tokens.size()));
  }

  void prefill(std::span<const int32_t> prompt) {
    start_ = now_s();
    check_tokens(prompt, static_cast<int>(logits_.size()));
    for (const int32_t token : prompt) sampler_.accept(token);
    session_.truncate(0, 0);
    const double start = now_s();
    session_.prefill(0, prompt, logits_.data());
    out_.timings.prefill_ms = ms_since(start);
    if (options_.timer) options_.timer->collect();
    out_.timings.prompt_tokens = static_cast<int64_t>(prompt.size());
  }

  int32_t sample() {
    const double start = now_s();
    const int32_t token = sampler_.sample(logits_);
    sampler_.accept(token);
    out_.timings.sampling_ms += ms_since(start);
    if (out_.tokens.empty()) out_.timings.first_token_ms = ms_since(start_);
    return token;
  }

  void step(int32_t token) {
    const double start = now_s();
    session_.step({&token, 1}, logits_.data());
    out_.timings.step_ns.push_back(static_cast<int64_t>((now_s() - start) * 1e9));
    if (options_.timer) options_.timer->collect();
    if (options_.after_step) options_.after_step(out_.timings.step_ns.back());
  }

  // Passes a token on; false when the text ends here.
  bool take(int32_t token) {
    if (token == eos_token_) return end(StopReason::eos);
    out_.tokens.push_back(token);
    // Vocabularies are padded to round sizes: what lies beyond the tokenizer has no text.
    const bool has_text = token < tokenizer_.vocab_size();
    const std::string safe = stop_.feed(has_text ? tokenizer_.token_bytes(token) : "");
    out_.text += safe;
    const bool wanted = !callback_ || callback_(token, utf8_.feed(safe));
    if (stop_.stopped()) return end(StopReason::stop_string);
    if (!wanted) return end(StopReason::callback);
    if (options_.cancel && options_.cancel->load()) return end(StopReason::interrupted);
    return true;
  }

  bool end(StopReason reason) {
    out_.stop_reason = reason;
    return false;
  }

  void finish_text() {
    const std::string held = stop_.flush();
    out_.text += held;
    if (!callback_ || out_.stop_reason == StopReason::callback) return;
    const std::string rest = utf8_.feed(held) + utf8_.flush();
    if (!rest.empty()) callback_(out_.tokens.back(), rest);
  }

  Session& session_;
  const Tokenizer& tokenizer_;
  const int eos_token_;
  const GenerateOptions& options_;
  const TextCallback& callback_;
  Sampler sampler_;
  StopFilter stop_;
  Utf8Stream utf8_;
  std::vector<float> logits_;  // [vocab_size]
  double start_ = 0;
  Generation out_;
};

}  // namespace

const char* to_string(StopReason reason) {
  switch (reason) {
    case StopReason::length:
      return "length";
    case StopReason::eos:
      return "eos";
    case StopReason::stop_string:
      return "stop";
    case StopReason::context:
      return "context";
    case StopReason::callback:
      return "callback";
    case StopReason::interrupted:
      return "interrupted";
  }
  return "length";
}

double GenerateTimings::prefill_tokens_per_second() const {
  return prefill_ms > 0 ? static_cast<double>(prompt_tokens) / prefill_ms * 1e3 : 0;
}

double GenerateTimings::decode_tokens_per_second() const {
  const auto total = std::accumulate(step_ns.begin(), step_ns.end(), int64_t{0});
  return total > 0 ? static_cast<double>(step_ns.size()) / static_cast<double>(total) * 1e9 : 0;
}

Generation generate(Session& session, const Tokenizer& tokenizer, int vocab_size, int eos_token,
                    std::span<const int32_t> prompt, const GenerateOptions& options,
                    const TextCallback& callback) {
  check(session, prompt, options);
  return Run(session, tokenizer, vocab_size, eos_token, options, callback).run(prompt);
}

StopFilter::StopFilter(std::vector<std::string> stops) : stops_(std::move(stops)) {}

std::string StopFilter::feed(std::string_view bytes) {
  if (stopped_) return "";
  pending_ += bytes;
  size_t match = std::string::npos;
  for (const auto& stop : stops_) match = std::min(match, pending_.find(stop));
  if (match != std::string::npos) {
    stopped_ = true;
    std::string safe = pending_.substr(0, match);
    pending_.clear();
    return safe;
  }
  // The longest tail that is the beginning of a stop string stays here.
  size_t held = 0;
  for (const auto& stop : stops_) {
    for (size_t n = std::min(stop.size() - 1, pending_.size()); n > held; --n) {
      if (pending_.ends_with(std::string_view(stop).substr(0, n))) held = n;
    }
  }
  std::string safe = pending_.substr(0, pending_.size() - held);
  pending_.erase(0, safe.size());
  return safe;
}

std::string StopFilter::flush() { return std::exchange(pending_, ""); }

}  // namespace sentinel
