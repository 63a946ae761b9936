// The baseline's text at a higher speed: a cheaper model drafts, the baseline verifies.
#pragma once

#include "app/generate/generate_text.h"
#include "model/speculative/verified_session.h"

namespace sentinel {

struct VerifyOptions {
  bool ngrams = true;    // what followed before is the first guess
  int draft_length = 0;  // 0: by what pays
};

// What of the two models: the baseline decides as it is, the draft has the heads and skips, in the
// next smaller weights unless others are named, at level 2 at least. Both share one team of
// threads: the workers of a second one would spin beside the first.
struct VerifyModels {
  ModelOptions baseline, draft;
};
VerifyModels verify_models(ModelOptions asked, std::optional<WeightType> draft_weights);

// Error (usage): of different vocabularies. `draft` may be null.
void check_vocabularies(const Model& baseline, const Model* draft);

// As generate_text() with `baseline` alone: greedy and with any seed the tokens that it would give,
// up to the rounding of products of several rows (docs/agency.md). `draft` may be null: then
// only n-grams draft. Error (usage): the vocabularies differ.
Generation generate_verified(Model& baseline, Model* draft, const Tokenizer& tokenizer,
                             std::string_view prompt, const GenerateOptions& options,
                             const VerifyOptions& verify, VerifyReport& report,
                             const TextCallback& callback = nullptr,
                             std::vector<int32_t>* prompt_tokens = nullptr);

// The same for a prompt of token ids, at least one.
Generation generate_verified_tokens(Model& baseline, Model* draft, const Tokenizer& tokenizer,
                                    std::span<const int32_t> prompt, const GenerateOptions& options,
                                    const VerifyOptions& verify, VerifyReport& report,
                                    const TextCallback& callback = nullptr);

}  // namespace sentinel
