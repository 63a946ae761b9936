// From prompt ids to text, token by token.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/agency/performance.h"
#include "model/model.h"
#include "model/sampler.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {

struct GenerateOptions {
  int max_new_tokens = 64;  // >= 1
  SamplingOptions sampling;
  std::vector<std::string> stop;  // texts that end generation and are not shown
  bool ignore_eos = false;
  bool parse_special = false;                 // "<|endoftext|>" in a prompt of text is that token
  const std::atomic<bool>* cancel = nullptr;  // set: ends after the current token
  // Called with the index of the new token that the next computation leads to: 0 before the
  // prompt, n between new tokens n - 1 and n. The place to switch heads.
  std::function<void(int index)> before_token;
  std::function<void(int64_t ns)> after_step;  // the model's time for the step
  OperationTimer* timer = nullptr;             // not null: operations are timed into it
};

enum class StopReason { length, eos, stop_string, context, callback, interrupted };
// "length", "eos", "stop", "context", "callback", "interrupted".
const char* to_string(StopReason reason);

struct GenerateTimings {
  double tokenize_ms = 0;     // filled by whoever made the ids from text
  double first_token_ms = 0;  // prompt in (tokenising included) to first token out
  double prefill_ms = 0;
  double sampling_ms = 0;        // all tokens; part of no other figure but first_token_ms
  std::vector<int64_t> step_ns;  // the model's time for each token after the first
  int64_t prompt_tokens = 0;

  double prefill_tokens_per_second() const;
  double decode_tokens_per_second() const;  // tokens after the first / their step times; 0: none
};

struct Generation {
  std::vector<int32_t> tokens;  // new ones; end-of-text excluded, those of a stop string included
  std::string text;             // their bytes, without a stop string
  StopReason stop_reason = StopReason::length;
  GenerateTimings timings;
};

// Text as it becomes safe to show: whole UTF-8 characters, never a part of a stop string. Returns
// whether to go on. May be called with an empty text.
using TextCallback = std::function<bool(int32_t token, std::string_view text)>;

// Continues the prompt in sequence 0 of the session, which is truncated first. A context that
// fills up ends the text with StopReason::context.
// Error (usage): empty prompt, prompt longer than the session, options out of range.
Generation generate(Session& session, const Tokenizer& tokenizer, int vocab_size, int eos_token,
                    std::span<const int32_t> prompt, const GenerateOptions& options,
                    const TextCallback& callback = nullptr);

// Holds text back as long as it may turn out to be part of a stop string.
class StopFilter {
 public:
  explicit StopFilter(std::vector<std::string> stops);  // none empty
  // Bytes that are safe to pass on now. Once stopped() it returns nothing more.
  std::string feed(std::string_view bytes);
  std::string flush();  // what was held back, at the end of the text
  bool stopped() const { return stopped_; }

 private:
  std::vector<std::string> stops_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace sentinel
