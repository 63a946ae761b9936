#include "sentinel/profile.h"

#include <fmt/ranges.h>

#include "api/cancel.h"
#include "api/model_options.h"
#include "app/report/profile_json.h"
#include "app/report/profile_tables.h"
#include "app/sweep/profile_run.h"

namespace sentinel {
namespace {

ProfileOptions engine_options(const ProfilingOptions& options) {
  const AdaptiveOptions model{.optimization_level = options.optimization_level,
                              .threads = options.threads,
                              .isa = options.isa,
                              .weights = options.weights,
                              .lm_head = options.lm_head,
                              .kv = options.kv,
                              .agency = options.agency};
  ProfileOptions out;
  out.model_name = options.model_name;
  out.model_options = model_options(model);
  out.pruning_levels = fmt::format("{}", fmt::join(options.pruning_levels, ","));
  out.strategy = options.strategy;
  out.recover = options.recover;
  out.profile_mode = options.profile_mode;
  out.test_all_optimization_levels = options.test_all_optimization_levels;
  out.test_integration_points = options.test_integration_points;
  out.disable_baseline = options.disable_baseline;
  out.disable_unet = options.disable_unet;
  out.cpu_specific_optimizations = options.cpu_specific_optimizations;
  out.memory_profile = options.memory_profile;
  out.multi_model_comparison = !options.compare_models.empty();
  out.compare_models = options.compare_models;
  out.model_family = options.model_family;
  out.sequence_length = options.sequence_length;
  out.generated_tokens = options.generated_tokens;
  out.batch_size = options.batch_size;
  out.iterations = options.iterations;
  out.warmup = options.warmup;
  out.temperature = options.temperature;
  out.seed = options.seed;
  out.custom_prompts = options.custom_prompts;
  out.text = options.text;
  out.calibration = options.calibration;
  out.max_eval_windows = options.max_eval_windows;
  out.max_footprint_mb = options.max_footprint_mb;
  out.output_dir = options.output_dir;
  out.output_prefix = options.output_prefix;
  out.visualize = options.visualize;
  out.export_csv = options.export_csv;
  out.trace_export = options.trace_export;
  out.save_generated_text = options.save_generated_text;
  out.compare_with_previous = options.compare_with_previous;
  return out;
}

ProfileCallback engine_callback(const std::function<void(const ProfilingProgress&)>& on_progress) {
  if (!on_progress) return nullptr;
  return [&on_progress](const ProfileProgress& now) {
    on_progress({now.stage, now.done, now.total, now.detail, now.notice});
  };
}

ProfilingResult to_public(const ProfileResult& result) {
  return {to_text(to_json(result)), console_report(result), result.run_folder, result.result_file,
          result.interrupted};
}

}  // namespace

ProfilingResult profile(const ProfilingOptions& options) {
  const CancelFlag cancel(options.cancel);
  return to_public(
      run_profile(engine_options(options), engine_callback(options.on_progress), cancel.flag()));
}

ProfilingResult resume_profile(const std::string& run_folder, std::stop_token token,
                               const std::function<void(const ProfilingProgress&)>& on_progress) {
  const CancelFlag cancel(std::move(token));
  return to_public(
      sentinel::resume_profile(run_folder, engine_callback(on_progress), cancel.flag()));
}

}  // namespace sentinel
