// The options that choose and steer heads, shared by generate and eval.
#pragma once

#include <memory>

#include "app/generate/agency_script.h"
#include "cli/options.h"
#include "model/agency/preset.h"

namespace sentinel::cli {

struct AgencyArguments {
  std::string close_heads, preset, head_means;
  std::string kv_return = "exact";
  AgencyOptions thresholds;
};
void add_agency_options(CLI::App& command, AgencyArguments& arguments);
void add_threshold_options(CLI::App& command, AgencyArguments& arguments);

// The model with its heads as asked for. Errors of the arguments come before slow loading.
// `options` null: model_options(model). `checkpoint` null: it is opened.
OpenedModel open_model(const ModelArguments& model, const AgencyArguments& agency,
                       const ModelOptions* options = nullptr,
                       std::shared_ptr<const Checkpoint> checkpoint = nullptr);

// Every change of a script that was made, and how long setting it took.
nlohmann::json script_json(const ScriptPlayer& player);

}  // namespace sentinel::cli
