// The run before this one in the same output folder, and what has changed since.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "app/report/text_table.h"

namespace sentinel {

// The newest whole result of an earlier run of the same model and tests in OUTPUT_DIR: in run
// folders, or flat as old versions wrote it. Files that cannot be read, or hold no measurements,
// are passed over. Empty if there is none.
std::optional<std::filesystem::path> find_previous_run(const std::filesystem::path& output_dir,
                                                       const nlohmann::json& current);

// Section comparison_with_previous: {previous_file, previous_timestamp, settings_changed [name],
// rows [{section, series, key, figure, previous, current, change_percent, noise_percent,
// beyond_noise, not_comparable [name]}]}. Noise is that of the change: both runs' intervals and
// their A/A rows; null when it was not measured. Then, and where the two did other work or ran
// otherwise (not_comparable names how), beyond_noise is null too.
nlohmann::json compare_with_previous(const std::filesystem::path& previous,
                                     const nlohmann::json& current);

// The section for people: a table, and lines before it.
std::string comparison_heading(const nlohmann::json& comparison);
TextTable comparison_table(const nlohmann::json& comparison);

}  // namespace sentinel
