#include "cli/agency_arguments.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/prune/calibration.h"
#include "base/error.h"

namespace sentinel::cli {

void add_agency_options(CLI::App& command, AgencyArguments& a) {
  add_option(command, "close_heads", a.close_heads, "heads to switch off, as layer:head,...")
      ->type_name("HEADS");
  add_option(command, "preset", a.preset, "head states from a preset file")->type_name("FILE");
  add_option(command, "head_means", a.head_means,
             "statistics of prune --save_stats: closed heads leave their mean behind")
      ->type_name("FOLDER");
}

void add_threshold_options(CLI::App& command, AgencyArguments& a) {
  add_option(command, "overload_threshold", a.thresholds.overload_threshold,
             "--agency auto: utilisation above it makes a head overloaded")
      ->type_name("U")
      ->capture_default_str();
  add_option(command, "alignment_threshold", a.thresholds.alignment_threshold,
             "--agency auto: below it for the recovery period, misaligned")
      ->type_name("A")
      ->capture_default_str();
  add_option(command, "recovery_period", a.thresholds.recovery_period,
             "--agency auto: steps until such a head is active again")
      ->type_name("N")
      ->capture_default_str();
}

namespace {

// For good: the heads that the preset closes join `closed`, and it no longer opens those there.
void join_closed(Preset& preset, const ModelConfig& config, std::vector<HeadId>& closed) {
  HeadTable table(config);
  apply_preset(preset, table);  // an error if it is of another model
  const auto is_closed = [&](HeadId id) { return std::ranges::find(closed, id) != closed.end(); };
  std::erase_if(preset.heads,
                [&](const PresetHead& head) { return is_closed(head.id) && !closes(head); });
  for (const PresetHead& head : preset.heads) {
    if (closes(head) && !is_closed(head.id)) closed.push_back(head.id);
  }
}

void check_thresholds(const AgencyOptions& t, const ModelOptions& options) {
  if (options.agency == AgencyMode::automatic || t == AgencyOptions()) return;
  throw usage_error(
      "--overload_threshold, --alignment_threshold and --recovery_period belong to --agency auto; "
      "give that too");
}

}  // namespace

OpenedModel open_model(const ModelArguments& model, const AgencyArguments& agency,
                       const ModelOptions* given, std::shared_ptr<const Checkpoint> checkpoint) {
  ModelOptions options = given ? *given : model_options(model);
  check_thresholds(agency.thresholds, options);
  const auto closed = parse_heads(agency.close_heads);
  std::optional<Preset> preset;
  if (!agency.preset.empty()) preset = load_preset(agency.preset);
  options.agency_options = agency.thresholds;
  options.kv_return = parse_kv_return(agency.kv_return);
  OpenedModel opened;
  opened.checkpoint = checkpoint ? std::move(checkpoint) : open_checkpoint(model.model);
  opened.tokenizer = Tokenizer::load(opened.checkpoint->folder());
  if (!agency.head_means.empty()) {
    options.head_means = load_head_means(agency.head_means, *opened.checkpoint);
  }
  const bool final = level_preset(options.level).closing_is_final;
  if (final) {  // never packed
    options.removed_heads = closed;
    if (preset) join_closed(*preset, opened.checkpoint->config(), options.removed_heads);
  }
  opened.model = Model::create(opened.checkpoint, options);
  if (preset) apply_preset(*preset, opened.model->heads());
  if (!final) close_heads(*opened.model, closed);
  return opened;
}

nlohmann::json script_json(const ScriptPlayer& player) {
  nlohmann::json events = nlohmann::json::array();
  for (const ScriptEvent& event : player.events()) {
    events.push_back({{"token", event.entry.token},
                      {"change", to_string(event.entry)},
                      {"line", event.entry.line},
                      {"accepted", event.accepted},
                      {"microseconds", event.microseconds}});
  }
  return {{"events", events}, {"not_reached", player.pending()}};
}

}  // namespace sentinel::cli
