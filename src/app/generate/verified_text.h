// The baseline's text at a higher speed: a cheaper model drafts, the baseline verifies.
#pragma once

#include "app/generate/generate_text.h"
#include "model/speculative/verified_session.h"

namespace sentinel {

struct VerifyOptions {
  bool ngrams = true;    // what followed before is the first guess
  int draft_length = 0;  // 0: by what pays
};

// As generate_text() with `baseline` alone: greedy and with any seed the tokens that it would give,
// up to the rounding of products of several rows (docs/agency.md). `draft` may be null: then
// only n-grams draft. Error (usage): the vocabularies differ.
Generation generate_verified(Model& baseline, Model* draft, const Tokenizer& tokenizer,
                             std::string_view prompt, const GenerateOptions& options,
                             const VerifyOptions& verify, VerifyReport& report,
                             const TextCallback& callback = nullptr,
                             std::vector<int32_t>* prompt_tokens = nullptr);

}  // namespace sentinel
