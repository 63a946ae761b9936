#include "app/generate/verified_text.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"

namespace sentinel {
namespace {

void check_models(const Model& baseline, const Model* draft) {
  if (!draft) return;
  const int want = baseline.config().vocab_size, have = draft->config().vocab_size;
  if (want != have) {
    throw usage_error(
        "baseline_integration verify: the model has {} tokens, its baseline {}; name "
        "the model that it was made from as --baseline",
        have, want);
  }
}

}  // namespace

Generation generate_verified(Model& baseline, Model* draft, const Tokenizer& tokenizer,
                             std::string_view prompt, const GenerateOptions& options,
                             const VerifyOptions& verify, VerifyReport& report,
                             const TextCallback& callback, std::vector<int32_t>* prompt_tokens) {
  check_models(baseline, draft);
  const ModelConfig& config = baseline.config();
  const double start = now_s();
  std::vector<int32_t> ids = tokenizer.encode(prompt);
  const double tokenize_ms = (now_s() - start) * 1e3;
  if (ids.empty() && config.eos_token >= 0) ids.push_back(config.eos_token);
  int context = config.context_length;
  if (draft) context = std::min(context, draft->config().context_length);
  if (std::ssize(ids) > context) {
    throw usage_error(
        "prompt: {} tokens are more than the model's context of {}; shorten the prompt", ids.size(),
        context);
  }
  const int64_t wanted = std::ssize(ids) + std::max(1, options.max_new_tokens) - 1;
  const int length = static_cast<int>(std::clamp<int64_t>(wanted, 1, context));
  std::vector<std::unique_ptr<Drafter>> drafters;
  if (verify.ngrams) drafters.push_back(std::make_unique<NgramDrafter>());
  if (draft) {
    drafters.push_back(std::make_unique<ModelDrafter>(*draft, length, options.sampling));
  }
  VerifiedSession session(baseline.new_session(1, length), config.vocab_size, std::move(drafters),
                          verify.draft_length);
  Generation result =
      generate(session, tokenizer, config.vocab_size, config.eos_token, ids, options, callback);
  report = session.report();
  result.timings.tokenize_ms = tokenize_ms;
  result.timings.first_token_ms += tokenize_ms;
  if (prompt_tokens) *prompt_tokens = std::move(ids);
  return result;
}

}  // namespace sentinel
