#include "app/report/noise_text.h"

#include <fmt/format.h>

#include <cmath>

namespace sentinel {
namespace {

using nlohmann::json;

constexpr double kNoFigure = 100;  // percent of noise from which on it says nothing

// What other programs took of the cores, at worst; NaN where the system does not tell.
double neighbours_percent(const json& environment) {
  double worst = std::nan("");
  if (!environment.is_object()) return worst;
  const json conditions = environment.value("conditions", json());
  if (!conditions.is_array()) return worst;
  for (const json& part : conditions) {
    const json share = part.is_object() ? part.value("neighbours_cpu_percent", json()) : json();
    if (share.is_number()) worst = std::fmax(worst, share.get<double>());
  }
  return worst;
}

std::string rows_sentence(double aa, double rows) {
  std::string note = fmt::format(
      "Noise: the dense original, measured twice, differs by {:.1f} % from itself; ", aa);
  if (std::isnan(rows)) {
    return note +
           "single generations do not tell what other differences between rows mean: give "
           "--iterations 3 or more.";
  }
  note += fmt::format("differences between rows below {:.1f} % mean nothing.", rows);
  if (rows > kNoFigure) note += " Give more --iterations, or wait until the machine is quiet.";
  return note;
}

}  // namespace

std::string noise_text(double percent) {
  if (std::isnan(percent)) return "noise unknown";
  if (percent > kNoFigure) return "the noise is larger";
  return fmt::format("\u00b1 {:.1f} %", percent);
}

std::vector<std::string> noise_notes(double aa_percent, double rows_percent,
                                     const json& environment) {
  constexpr double kBusy = 10;  // percent of the cores
  std::vector<std::string> notes = {std::isfinite(aa_percent)
                                        ? rows_sentence(aa_percent, rows_percent)
                                        : "Noise: not measured (the A/A row is missing)."};
  if (const double others = neighbours_percent(environment); others > kBusy) {
    notes.push_back(
        fmt::format("Other programs took {:.0f} % of the cores while timing: on a quiet machine "
                    "the figures are higher and the noise is smaller.",
                    others));
  }
  return notes;
}

}  // namespace sentinel
