#include "cli/preset_measure.h"

#include <fmt/format.h>

#include <algorithm>

#include "app/profile/generation_timer.h"
#include "base/error.h"
#include "base/statistics.h"
#include "cli/progress.h"

namespace sentinel::cli {
namespace {

constexpr int kPromptTokens = 32, kNewTokens = 128, kLeastContext = 8;

}  // namespace

void warn_of_few(int64_t tokens_scored) {
  if (tokens_scored >= kMinScoredTokens) return;
  say(
      fmt::format("warning: {} tokens were scored; a perplexity of fewer than {} says next to "
                  "nothing, give a longer text\n",
                  tokens_scored, kMinScoredTokens));
}

PresetMeasurement preset_measurement(const ModelInfo& info, const EvalResult& result,
                                     const std::string& text_name, const EvalText& text) {
  PresetMeasurement measured;
  measured.text = text_name;
  measured.text_sha256 = text.sha256;
  measured.tokens_scored = result.tokens_scored;
  measured.perplexity = result.perplexity;
  if (result.divergence) measured.perplexity_base = result.divergence->perplexity_base;
  measured.level = info.level;
  measured.weights = to_string(info.weights);
  measured.head_means = info.head_means;
  measured.threads = info.threads;
  measured.isa = info.isa;
  return measured;
}

std::optional<double> perplexity_without_means(const ModelArguments& model, AgencyArguments agency,
                                               const ModelOptions* given, const EvalText& text,
                                               const EvalOptions& options) {
  agency.head_means.clear();
  const OpenedModel opened = open_model(model, agency, given);
  EvalOptions plain = options;
  plain.tokenizer = opened.tokenizer.get();
  const EvalResult result = evaluate(*opened.model, text.tokens, plain, nullptr);
  return result.interrupted ? std::nullopt : std::optional(result.perplexity);
}

double decode_tokens_per_second(Model& model, const EvalText& text,
                                const std::atomic<bool>* cancel) {
  const int context = model.config().context_length;
  if (context < kLeastContext) {
    throw usage_error("--save_preset: a context of {} is too short to time; give --unmeasured",
                      context);
  }
  const auto prompt = std::min(
      {std::ssize(text.tokens), std::ptrdiff_t{kPromptTokens}, std::ptrdiff_t{context / 4}});
  GenerationWork work;
  work.prompts = {{text.tokens.begin(), text.tokens.begin() + prompt}};
  work.generated_tokens = std::min(kNewTokens, context / 2);
  return 1 / median(time_generation(model, work, cancel).steps);
}

}  // namespace sentinel::cli
