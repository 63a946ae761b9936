#include <optional>

#include "api/cancel.h"
#include "api/impl.h"
#include "app/eval/eval.h"
#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {

EvaluationResult to_result(const EvalResult& measured, const ModelInfo& info) {
  EvaluationResult out;
  out.perplexity = measured.perplexity;
  out.nll_mean = measured.nll_mean;
  out.bits_per_byte = measured.bits_per_byte.value_or(0);
  out.tokens_scored = measured.tokens_scored;
  out.window = measured.window;
  out.windows = measured.windows;
  out.optimization_level = info.level;
  out.isa = info.isa;
  out.interrupted = measured.interrupted;
  out.seconds = measured.seconds;
  if (measured.divergence) {
    const Divergence& d = *measured.divergence;
    out.divergence = {d.kl_mean, d.kl_p50, d.kl_p99, d.top1_agreement, d.perplexity_base};
  }
  return out;
}

}  // namespace

EvaluationResult AdaptiveModel::evaluate(std::string_view text, const EvaluationOptions& options) {
  const Tokenizer& tokenizer = require_tokenizer(impl_->baseline.impl());
  if (text.empty()) throw usage_error("text: it is empty; give a text to score");
  const std::vector<int32_t> tokens = tokenizer.encode(text);
  CancelFlag cancel(options.cancel);
  const EvalOptions engine{.window = options.window,
                           .max_windows = options.max_windows,
                           .tokenizer = &tokenizer,
                           .cancel = cancel.flag()};
  EvalCallback progress;
  if (options.on_window) {
    progress = [&](const EvalProgress& p) {
      if (!options.on_window(p.windows_done, p.windows)) cancel.set();
    };
  }
  std::optional<BaseLogits> base;
  if (options.against) {
    if (options.against == this) throw usage_error("against: give another model than this one");
    base.emplace(options.against->impl_->output(), tokens, engine, 0);  // run beside this one
  }
  const EvalResult measured =
      sentinel::evaluate(impl_->output(), tokens, engine, base ? &*base : nullptr, progress);
  EvaluationResult out = to_result(measured, impl_->output().info());
  out.text_sha256 = sha256_hex(text);
  return out;
}

double AdaptiveModel::perplexity(std::string_view text) { return evaluate(text).perplexity; }

}  // namespace sentinel
