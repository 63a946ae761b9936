#include "app/generate/verified_text.h"

#include <algorithm>

#include "base/error.h"

namespace sentinel {

void check_vocabularies(const Model& baseline, const Model* draft) {
  if (!draft) return;
  const int want = baseline.config().vocab_size, have = draft->config().vocab_size;
  if (want != have) {
    throw usage_error(
        "baseline_integration verify: the model has {} tokens, its baseline {}; name "
        "the model that it was made from as --baseline",
        have, want);
  }
}

VerifyModels verify_models(ModelOptions asked, std::optional<WeightType> draft_weights) {
  if (!asked.pool) {
    asked.pool = std::make_shared<ThreadPool>(ThreadPool::count_for(asked.threads));
  }
  VerifyModels models{asked, asked};
  models.baseline.agency = AgencyMode::off;
  models.baseline.unet = false;
  models.baseline.head_means = nullptr;
  const WeightType weights = asked.weights.value_or(level_preset(asked.level).weights);
  const bool large = weights == WeightType::f32 || weights == WeightType::bf16;
  models.draft.level = std::max(asked.level, 2);
  models.draft.weights = draft_weights.value_or(large ? WeightType::int8 : WeightType::int4);
  models.draft.lm_head.reset();
  models.draft.kv.reset();
  return models;
}

Generation generate_verified_tokens(Model& baseline, Model* draft, const Tokenizer& tokenizer,
                                    std::span<const int32_t> prompt, const GenerateOptions& options,
                                    const VerifyOptions& verify, VerifyReport& report,
                                    const TextCallback& callback) {
  check_vocabularies(baseline, draft);
  const ModelConfig& config = baseline.config();
  int context = config.context_length;
  if (draft) context = std::min(context, draft->config().context_length);
  if (std::ssize(prompt) > context) {
    throw usage_error(
        "prompt: {} tokens are more than the model's context of {}; shorten the prompt",
        prompt.size(), context);
  }
  const int64_t wanted = std::ssize(prompt) + std::max(1, options.max_new_tokens) - 1;
  const int length = static_cast<int>(std::clamp<int64_t>(wanted, 1, context));
  std::vector<std::unique_ptr<Drafter>> drafters;
  if (verify.ngrams) drafters.push_back(std::make_unique<NgramDrafter>());
  if (draft) {
    drafters.push_back(std::make_unique<ModelDrafter>(*draft, length, options.sampling));
  }
  VerifiedSession session(baseline.new_session(1, length), config.vocab_size, std::move(drafters),
                          verify.draft_length);
  Generation result =
      generate(session, tokenizer, config.vocab_size, config.eos_token, prompt, options, callback);
  report = session.report();
  return result;
}

Generation generate_verified(Model& baseline, Model* draft, const Tokenizer& tokenizer,
                             std::string_view prompt, const GenerateOptions& options,
                             const VerifyOptions& verify, VerifyReport& report,
                             const TextCallback& callback, std::vector<int32_t>* prompt_tokens) {
  return generate_from_text(
      tokenizer, prompt, options.parse_special, baseline.config().eos_token,
      [&](std::span<const int32_t> ids) {
        return generate_verified_tokens(baseline, draft, tokenizer, ids, options, verify, report,
                                        callback);
      },
      prompt_tokens);
}

}  // namespace sentinel
