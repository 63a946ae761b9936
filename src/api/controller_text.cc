#include "api/controller_text.h"

#include "app/eval/eval.h"
#include "base/error.h"

namespace sentinel {

Steering::Measure text_measure(Model& model, const Tokenizer& tokenizer,
                               const ControllerOptions& options) {
  if (options.text.empty()) return nullptr;
  EvalOptions eval;
  eval.max_windows = options.max_windows;
  std::vector<int32_t> tokens = tokenizer.encode(options.text);
  eval_windows(model.config(), tokens, eval);  // a text that cannot be scored is refused now
  return [&model, eval, tokens = std::move(tokens)](const std::atomic<bool>* cancel) mutable {
    eval.cancel = cancel;
    const EvalResult result = evaluate(model, tokens, eval);
    if (result.interrupted) throw Error(ErrorKind::interrupted, "interrupted");
    return TextScore{result.perplexity, result.tokens_scored};
  };
}

}  // namespace sentinel
