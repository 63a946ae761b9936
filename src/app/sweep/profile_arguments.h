// The arguments of a profile that ProfileOptions and the public ProfilingOptions hold under one
// name and with one type.
#pragma once

namespace sentinel {

// Calls `visit(flag, &Options::field...)` for each, with one field for each of Options.
template <typename... Options, typename Visit>
void visit_arguments(const Visit& visit) {
  visit("model_name", &Options::model_name...);
  visit("profile_mode", &Options::profile_mode...);
  visit("strategy", &Options::strategy...);
  visit("recover", &Options::recover...);
  visit("sequence_length", &Options::sequence_length...);
  visit("generated_tokens", &Options::generated_tokens...);
  visit("batch_size", &Options::batch_size...);
  visit("iterations", &Options::iterations...);
  visit("warmup", &Options::warmup...);
  visit("temperature", &Options::temperature...);
  visit("seed", &Options::seed...);
  visit("max_eval_windows", &Options::max_eval_windows...);
  visit("max_footprint_mb", &Options::max_footprint_mb...);
  visit("test_all_optimization_levels", &Options::test_all_optimization_levels...);
  visit("test_integration_points", &Options::test_integration_points...);
  visit("disable_baseline", &Options::disable_baseline...);
  visit("disable_unet", &Options::disable_unet...);
  visit("cpu_specific_optimizations", &Options::cpu_specific_optimizations...);
  visit("memory_profile", &Options::memory_profile...);
  visit("output_dir", &Options::output_dir...);
  visit("output_prefix", &Options::output_prefix...);
  visit("visualize", &Options::visualize...);
  visit("export_csv", &Options::export_csv...);
  visit("trace_export", &Options::trace_export...);
  visit("save_generated_text", &Options::save_generated_text...);
  visit("compare_with_previous", &Options::compare_with_previous...);
}

// The same for texts whose empty value says "not given", which result files have as null.
template <typename... Options, typename Visit>
void visit_optional_texts(const Visit& visit) {
  visit("model_family", &Options::model_family...);
  visit("custom_prompts", &Options::custom_prompts...);
  visit("text", &Options::text...);
  visit("calibration", &Options::calibration...);
}

}  // namespace sentinel
