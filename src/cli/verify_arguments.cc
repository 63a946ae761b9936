#include "cli/verify_arguments.h"

#include <fmt/format.h>

#include "base/error.h"

namespace sentinel::cli {

void add_verify_options(CLI::App& command, VerifyArguments& a) {
  add_option(command, "baseline_integration", a.integration,
             "off, or verify: the model drafts, its baseline decides; the text is the baseline's")
      ->type_name("MODE")
      ->capture_default_str();
  add_option(command, "unet", a.unet, "off (skips between layers are not in this version)")
      ->type_name("MODE")
      ->capture_default_str();
  add_option(command, "baseline", a.baseline,
             "verify: the model that decides (default: --model with all heads open)")
      ->type_name("MODEL");
  add_option(command, "draft_weights", a.draft_weights,
             "verify: weights of the model that drafts (default: one size below --weights)")
      ->type_name("TYPE");
  add_option(command, "draft_length", a.verify.draft_length,
             "verify: tokens to draft, 1 to 8; 0: what pays")
      ->type_name("N")
      ->capture_default_str();
  add_flag(command, "no_ngrams", a.no_ngrams, "verify: do not draft from repetitions in the text");
}

bool wants_verify(const VerifyArguments& a) {
  if (a.unet != "off" && a.unet != "on") {
    throw usage_error("--unet: unknown value \"{}\"; choose one of off, on", printable(a.unet));
  }
  if (a.unet == "on") throw usage_error("--unet on is not in this version; leave it off");
  if (a.integration == "mix") {
    throw usage_error("--baseline_integration mix is not in this version; choose off or verify");
  }
  if (a.integration != "off" && a.integration != "verify") {
    throw usage_error(
        "--baseline_integration: unknown value \"{}\"; choose one of off, mix, verify",
        printable(a.integration));
  }
  const bool verify = a.integration == "verify";
  if (!verify && (!a.baseline.empty() || a.draft_weights || a.no_ngrams || a.verify.draft_length)) {
    throw usage_error(
        "--baseline, --draft_weights, --draft_length and --no_ngrams belong to "
        "--baseline_integration verify; give that too");
  }
  return verify;
}

ModelOptions draft_options(const VerifyArguments& a, const ModelOptions& base) {
  ModelOptions options = base;
  const WeightType weights = base.weights.value_or(level_preset(base.level).weights);
  const bool large = weights == WeightType::f32 || weights == WeightType::bf16;
  options.level = std::max(base.level, 2);
  options.weights = large ? WeightType::int8 : WeightType::int4;
  if (a.draft_weights) options.weights = parse_weight_type(*a.draft_weights);
  options.lm_head.reset();
  options.kv.reset();
  return options;
}

nlohmann::json verify_json(const VerifyReport& report) {
  nlohmann::json drafters = nlohmann::json::array();
  for (const DrafterReport& d : report.drafters) {
    drafters.push_back({{"name", d.name},
                        {"rounds", d.rounds},
                        {"drafted", d.drafted},
                        {"accepted", d.accepted},
                        {"acceptance", d.acceptance},
                        {"token_ms", d.token_ms},
                        {"off", d.off}});
  }
  return {{"steps", report.steps},
          {"baseline_passes", report.passes},
          {"single_passes", report.single_passes},
          {"single_ms", report.single_ms},
          {"seconds", report.seconds},
          {"speed_up", report.speed_up},
          {"drafters", drafters}};
}

std::string verify_text(const VerifyReport& report) {
  std::string text = fmt::format(
      "verify: {} tokens in {} passes of the baseline, {:.2f} times the speed of single steps "
      "({:.3f} ms)\n",
      report.steps, report.passes, report.speed_up, report.single_ms);
  for (const DrafterReport& d : report.drafters) {
    text += fmt::format("  {:<6} {} of {} drafts accepted in {} rounds, {:.3f} ms a draft{}\n",
                        d.name, d.accepted, d.drafted, d.rounds, d.token_ms,
                        d.off ? "; off: it did not pay" : "");
  }
  return text;
}

}  // namespace sentinel::cli
