#include "cli/verify_arguments.h"

#include <fmt/format.h>

#include "base/error.h"

namespace sentinel::cli {

void add_verify_options(CLI::App& command, VerifyArguments& a) {
  add_option(
      command, "baseline_integration", a.integration,
      "off, verify: the model drafts, its baseline decides; the text is the baseline's; or mix: "
      "fitted weights take over from the baseline's hidden states")
      ->type_name("MODE")
      ->capture_default_str();
  add_option(command, "unet", a.unet, "on: fitted skips from early to late layers; off")
      ->type_name("MODE")
      ->capture_default_str();
  add_option(command, "baseline", a.baseline,
             "mix: the dense model that --model was pruned from; verify: the one that decides "
             "(default: --model with all heads open)")
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

void add_point_options(CLI::App& command, VerifyArguments& a) {
  add_option(command, "baseline_integration", a.integration,
             "off, or mix: fitted weights take over from the baseline's hidden states")
      ->type_name("MODE")
      ->capture_default_str();
  add_option(command, "unet", a.unet, "on: fitted skips from early to late layers; off")
      ->type_name("MODE")
      ->capture_default_str();
  add_option(command, "baseline", a.baseline, "mix: the dense model that --model was pruned from")
      ->type_name("MODEL");
}

bool wants_verify(const VerifyArguments& a) {
  if (a.unet != "off" && a.unet != "on") {
    throw usage_error("--unet: unknown value \"{}\"; choose one of off, on", printable(a.unet));
  }
  const bool verify = a.integration == "verify", mix = a.integration == "mix";
  if (!verify && !mix && a.integration != "off") {
    throw usage_error(
        "--baseline_integration: unknown value \"{}\"; choose one of off, mix, verify",
        printable(a.integration));
  }
  if (!verify && !mix && !a.baseline.empty()) {
    throw usage_error("--baseline belongs to --baseline_integration mix or verify; give that too");
  }
  if (!verify && (a.draft_weights || a.no_ngrams || a.verify.draft_length)) {
    throw usage_error(
        "--draft_weights, --draft_length and --no_ngrams belong to --baseline_integration verify; "
        "give that too");
  }
  return verify;
}

std::shared_ptr<const Checkpoint> apply_points(const VerifyArguments& a, const std::string& model,
                                               ModelOptions& options) {
  const bool verify = wants_verify(a);
  options.unet = a.unet == "on";
  options.mix_baseline = a.integration == "mix";
  if (!options.unet && !options.mix_baseline) return nullptr;
  auto checkpoint = open_checkpoint(model);
  options.integration = find_integration(checkpoint->folder(), checkpoint->config());
  if (options.mix_baseline && options.integration && a.baseline.empty()) {
    throw usage_error(
        "--baseline_integration mix: name the dense model that this one was pruned from with "
        "--baseline");
  }
  if (!verify && !a.baseline.empty()) options.unpruned = open_checkpoint(a.baseline);
  return checkpoint;
}

std::optional<WeightType> draft_weights(const VerifyArguments& a) {
  if (!a.draft_weights) return std::nullopt;
  return parse_weight_type(*a.draft_weights, "draft_weights");
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
                        {"speed_up", d.speed_up},
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
    text += fmt::format(
        "  {:<6} {} of {} drafts accepted in {} rounds, {:.3f} ms a draft, recent rounds {:.2f} "
        "times the speed of single steps{}\n",
        d.name, d.accepted, d.drafted, d.rounds, d.token_ms, d.speed_up,
        d.off ? "; off: it does not pay" : "");
  }
  return text;
}

}  // namespace sentinel::cli
