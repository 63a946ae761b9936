// The options of --baseline_integration.
#pragma once

#include <nlohmann/json.hpp>

#include "app/generate/verified_text.h"
#include "cli/options.h"

namespace sentinel::cli {

struct VerifyArguments {
  std::string integration = "off", unet = "off", baseline;
  std::optional<std::string> draft_weights;
  bool no_ngrams = false;
  VerifyOptions verify;
};
void add_verify_options(CLI::App& command, VerifyArguments& arguments);

// Of commands that cannot verify: mix and skips alone.
void add_point_options(CLI::App& command, VerifyArguments& arguments);

// Whether the baseline verifies. Error (usage): an unknown value, or options of verify without it.
bool wants_verify(const VerifyArguments& arguments);
// What runs of mixing and skips, with the weights beside `model`, which is returned where it had to
// be opened for them; else null. Error (usage, bad_input).
std::shared_ptr<const Checkpoint> apply_points(const VerifyArguments& arguments,
                                               const std::string& model, ModelOptions& options);
// Of the model that drafts; empty: what verify_models() chooses. Error (usage): an unknown type.
std::optional<WeightType> draft_weights(const VerifyArguments& arguments);

nlohmann::json verify_json(const VerifyReport& report);
std::string verify_text(const VerifyReport& report);

}  // namespace sentinel::cli
