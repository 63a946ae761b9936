#include "app/prune/step_search.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace sentinel {
namespace {

constexpr double kBudgetFlops = 4e12;  // of all measurements together
constexpr int kMeasurements = 7;       // of a sub-layer, about
constexpr int64_t kMinTokens = 256, kMaxTokens = 8192;
constexpr double kSame = 0.04;  // steps that differ by less have the same loss

// The least loss of a parabola through three points, the middle one at `centre`.
double vertex(double centre, double reach, double left, double middle, double right) {
  const double curvature = left - 2 * middle + right;
  if (curvature <= 0) return left < right ? centre - reach : centre + reach;
  return centre + reach * (left - right) / (2 * curvature);
}

int64_t affordable_tokens(const ModelConfig& config, const LossMeterOptions& options) {
  const double measurements = 2.0 * config.n_layers * kMeasurements;
  return static_cast<int64_t>(kBudgetFlops /
                              (measurements * loss_flops(config, options.vocabulary)));
}

void blend(std::vector<float>& to, const std::vector<float>& from, double step) {
  for (size_t i = 0; i < to.size(); ++i) {
    to[i] = static_cast<float>(from[i] + step * (double{to[i]} - from[i]));
  }
}

}  // namespace

LinearMap output_map(const EditableLayer& layer, SublayerKind kind) {
  if (kind == SublayerKind::attention) return {layer.o, layer.o_bias};
  return {layer.down, layer.down_bias};
}

void set_output_map(EditableLayer& layer, SublayerKind kind, LinearMap map) {
  const bool attention = kind == SublayerKind::attention;
  (attention ? layer.o : layer.down) = std::move(map.w);
  (attention ? layer.o_bias : layer.down_bias) = std::move(map.bias);
}

StepSearch::StepSearch(EditableModel& model, const TokenWindows& held_out, SublayerRunner& runner,
                       LossMeterOptions options)
    : model_(model),
      affordable_tokens_(affordable_tokens(model.base->config(), options)),
      meter_(model.base,
             spread_tokens(held_out, std::clamp(affordable_tokens_, kMinTokens, kMaxTokens)),
             runner, options),
      from_(2 * model.layers.size()),
      refits_(2 * model.layers.size()),
      steps_(2 * model.layers.size(), 0.0) {
  meter_.set_model(model);
}

EditableLayer StepSearch::at(int index, double step) const {
  EditableLayer layer = model_.layers[index / 2];
  LinearMap map = refits_[index];
  if (step < 1) {
    blend(map.w, from_[index].w, step);
    blend(map.bias, from_[index].bias, step);
  }
  set_output_map(layer, sublayer(index).kind, std::move(map));
  return layer;
}

StepSearch::Point StepSearch::measure(int index, double step) {
  return {step, meter_.loss_with(index, at(index, step))};
}

// Measures three steps around the known one, and the least of the parabola through them.
StepSearch::Point StepSearch::lowest(int index, Point known, double reach) {
  const double centre = std::clamp(known.step, reach, 1 - reach);
  std::array<Point, 3> points;
  Point best = known;
  for (int i = 0; i < 3; ++i) {
    const double step = centre + (i - 1) * reach;
    points[i] = step == known.step ? known : measure(index, step);
    if (points[i].loss < best.loss) best = points[i];
  }
  const double least =
      std::clamp(vertex(centre, reach, points[0].loss, points[1].loss, points[2].loss), 0.0, 1.0);
  for (const Point& point : points) {
    if (std::abs(point.step - least) < kSame) return best;
  }
  const Point last = measure(index, least);
  return last.loss < best.loss ? last : best;
}

void StepSearch::go(int index, Point known, double reach) {
  const Point best = lowest(index, known, reach);
  if (best.step == known.step) return;
  steps_[index] = best.step;
  model_.layers[index / 2] = at(index, best.step);
  meter_.accept(index, model_.layers[index / 2]);
}

void StepSearch::take(int index, LinearMap refit) {
  from_[index] = output_map(model_.layers[index / 2], sublayer(index).kind);
  refits_[index] = std::move(refit);
  go(index, {0, meter_.loss()}, 0.5);
}

void StepSearch::revise(int index) {
  if (affordable_tokens_ < kMinTokens) return;
  if (!refits_[index].bias.empty()) go(index, {steps_[index], meter_.loss()}, 0.25);
}

}  // namespace sentinel
