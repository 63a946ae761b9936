#include "app/generate/generate_text.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"

namespace sentinel {

Generation generate_tokens(Model& model, const Tokenizer& tokenizer,
                           std::span<const int32_t> prompt, const GenerateOptions& options,
                           const TextCallback& callback) {
  const ModelConfig& config = model.config();
  const auto context = static_cast<size_t>(config.context_length);
  if (prompt.size() > context) {
    throw usage_error(
        "prompt: {} tokens are more than the model's context of {} (level {}); shorten the prompt",
        prompt.size(), context, model.info().level);
  }
  // The last new token is never fed back, so it needs no position.
  const auto wanted = prompt.size() + static_cast<size_t>(std::max(1, options.max_new_tokens)) - 1;
  const auto length = std::max<size_t>(1, std::min(context, wanted));
  const auto session = model.new_session(1, static_cast<int>(length));
  return generate(*session, tokenizer, config.vocab_size, config.eos_token, prompt, options,
                  callback);
}

Generation generate_from_text(const Tokenizer& tokenizer, std::string_view prompt,
                              bool parse_special, int eos_token,
                              const std::function<Generation(std::span<const int32_t>)>& run,
                              std::vector<int32_t>* prompt_tokens) {
  const double start = now_s();
  std::vector<int32_t> ids = tokenizer.encode(prompt, parse_special);
  const double tokenize_ms = (now_s() - start) * 1e3;
  if (ids.empty() && eos_token >= 0) ids.push_back(eos_token);
  Generation result = run(ids);
  result.timings.tokenize_ms = tokenize_ms;
  result.timings.first_token_ms += tokenize_ms;
  if (prompt_tokens) *prompt_tokens = std::move(ids);
  return result;
}

Generation generate_text(Model& model, const Tokenizer& tokenizer, std::string_view prompt,
                         const GenerateOptions& options, const TextCallback& callback,
                         std::vector<int32_t>* prompt_tokens) {
  return generate_from_text(
      tokenizer, prompt, options.parse_special, model.config().eos_token,
      [&](std::span<const int32_t> ids) {
        return generate_tokens(model, tokenizer, ids, options, callback);
      },
      prompt_tokens);
}

}  // namespace sentinel
