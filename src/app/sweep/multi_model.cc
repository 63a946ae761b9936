#include "app/sweep/multi_model.h"

#include <algorithm>

#include "app/sweep/model_loading.h"
#include "base/clock.h"

namespace sentinel {
namespace {

// Against the model's own f32 original, as for the rows of the pruning comparison.
void judge(const ProfileOptions& options, const ProfileInputs& inputs, const CellContext& context,
           Cell& cell) {
  const EvalOptions eval = eval_options(options, inputs, context.cancel);
  const auto dense = prepare(context, original_cell(options.model_options, 0, {}));
  const BaseLogits base(*dense, inputs.text.tokens, eval);
  measure_quality(context, {&cell}, inputs.text.tokens, eval, base, nullptr);
}

ModelResult measure_model(const ProfileOptions& options, const ProfileInputs& inputs,
                          const CellContext& shared) {
  const double start = now_s();
  ModelResult result;
  result.name = inputs.model;
  const auto& config = inputs.checkpoint->config();
  result.family = options.model_family.empty() ? config.family : options.model_family;
  const ModelOptions baseline = original_cell(options.model_options, 0, {}).options;
  result.loading = time_loading(inputs.model, baseline, baseline, options.model_options,
                                options.iterations, nullptr, shared.cancel);

  ModelPool pool(inputs.checkpoint);
  CellContext context = shared;
  context.pool = &pool;
  context.tokenizer = inputs.tokenizer.get();
  context.work.prompts.clear();
  for (const auto& prompt : inputs.prompts) context.work.prompts.push_back(prompt.tokens);
  Cell cell = optimized_cell(options.model_options, 0, {});
  time_cells(context, {&cell}, options.warmup, options.iterations, nullptr, nullptr);
  judge(options, inputs, context, cell);
  result.inference = cell.run;
  result.total_time = now_s() - start;
  return result;
}

}  // namespace

std::vector<ProfileInputs> open_compared(const ProfileOptions& options) {
  std::vector<ProfileInputs> models;
  ProfileOptions own = options;
  // Nothing is pruned, so no calibration text is needed.
  own.strategy = "random";
  own.recover = "none";
  own.profile_mode = "basic";
  own.test_integration_points = false;
  own.specific_model_size.clear();
  for (const auto& name : options.compare_models) {
    own.model_name = name;
    models.push_back(open_inputs(own));
  }
  return models;
}

void compare_models(const ProfileOptions& options, const std::vector<ProfileInputs>& models,
                    const CellContext& context,
                    const std::function<void(int done, int total, const std::string&)>& progress,
                    std::vector<ModelResult>& results) {
  const int total = static_cast<int>(models.size());
  for (int i = 0; i < total; ++i) {
    const auto& inputs = models[static_cast<size_t>(i)];
    if (progress) progress(i, total, inputs.model);
    const bool known = std::any_of(results.begin(), results.end(), [&](const ModelResult& result) {
      return result.name == inputs.model;
    });
    if (known) continue;
    results.push_back(measure_model(options, inputs, context));
  }
}

}  // namespace sentinel
