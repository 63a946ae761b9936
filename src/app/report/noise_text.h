// What every report says about noise, in the same words.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sentinel {

// Of a figure: "± 1.2 %"; where the noise says nothing about it or was not measured, that.
std::string noise_text(double percent);

// Sentences for readers of a table. `aa_percent`: by how much the dense original differs from
// itself; `rows_percent`: what rows must differ by (difference_noise_percent). NaN: not measured.
// `environment`: the result's, for what other programs took while timing.
std::vector<std::string> noise_notes(double aa_percent, double rows_percent,
                                     const nlohmann::json& environment);

}  // namespace sentinel
