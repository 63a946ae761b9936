#include "sentinel/profile.h"

#include <fmt/ranges.h>

#include "api/cancel.h"
#include "api/model_options.h"
#include "app/report/profile_json.h"
#include "app/report/profile_tables.h"
#include "app/sweep/profile_arguments.h"
#include "app/sweep/profile_run.h"

namespace sentinel {
namespace {

ProfileOptions engine_options(const ProfilingOptions& options) {
  AdaptiveOptions model = adaptive_options(options);
  model.threads = options.threads;
  model.agency = options.agency;
  ProfileOptions out;
  const auto copy = [&](const char*, auto to, auto from) { out.*to = options.*from; };
  visit_arguments<ProfileOptions, ProfilingOptions>(copy);
  visit_optional_texts<ProfileOptions, ProfilingOptions>(copy);
  out.model_options = model_options(model);
  out.pruning_levels = fmt::format("{}", fmt::join(options.pruning_levels, ","));
  out.multi_model_comparison = !options.compare_models.empty();
  out.compare_models = options.compare_models;
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
