// Options and result of text generation.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel {

struct GenerationOptions {
  int max_new_tokens = 64;             // >= 1; ends earlier when the context is full
  double temperature = 0.8;            // 0: greedy
  int top_k = 40;                      // 0: all
  double top_p = 1;                    // 1: all
  double repetition_penalty = 1;       // 1: none
  std::optional<uint64_t> seed = {};   // empty: a new one, named in the result
  std::vector<std::string> stop = {};  // texts that end generation and are not shown
  bool ignore_eos = false;             // go on after the end-of-text token
  // Requested: ends after the current token; while a controller searches: Error (interrupted).
  std::stop_token cancel = {};
  // Called in the calling thread with every token as its text becomes safe to show: whole UTF-8
  // characters, never a part of a stop text, so it may be empty. False ends generation. What it
  // throws passes through generate().
  std::function<bool(int32_t token, std::string_view text)> on_token = {};
};

struct GenerationTimings {
  double tokenize_ms = 0;
  double first_token_ms = 0;  // prompt in (tokenising included) to first token out
  double prefill_ms = 0;
  double sampling_ms = 0;        // of all tokens
  std::vector<int64_t> step_ns;  // the model's time for each token after the first
  double prefill_tokens_per_second = 0;
  double decode_tokens_per_second = 0;  // 0: no token after the first
};

// With baseline_integration "verify": how drafting went.
struct VerificationDrafter {
  std::string name;  // "ngram", "model"
  int64_t rounds = 0, drafted = 0, accepted = 0;
  double acceptance = 0;  // recent, of a token whose predecessors were right
  double token_ms = 0;    // to draft one
  double speed_up = 1;    // of its recent rounds over single steps
  bool off = false;       // did not pay at the end
};
struct VerificationReport {
  int64_t steps = 0;            // tokens taken
  int64_t baseline_passes = 0;  // of the dense model
  int64_t single_passes = 0;    // of them without a draft
  double single_ms = 0;         // the dense model's time for one token
  double seconds = 0;           // drafting and verifying, all of it
  double speed_up = 0;          // over single steps
  std::vector<VerificationDrafter> drafters;
};

struct GenerationResult {
  std::string text;                    // of the new tokens; bytes, not always valid UTF-8
  std::vector<int32_t> tokens;         // new ones, without end-of-text
  std::vector<int32_t> prompt_tokens;  // what the prompt became
  std::string stop_reason;  // "length", "eos", "stop", "context", "callback", "interrupted"
  uint64_t seed = 0;
  GenerationTimings timings;
  std::optional<VerificationReport> verification;
};

}  // namespace sentinel
