#include "app/report/charts_labels.h"

#include <algorithm>
#include <cmath>

namespace sentinel {
namespace {

constexpr double kMarker = 5, kBeside = 6;  // half a marker; from its middle to a label beside it

bool overlaps(const Frame& a, const Frame& b) {
  return a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
}

Frame around(Spot at, double half) { return {at.x - half, at.y - half, at.x + half, at.y + half}; }

Spot nearest(const Frame& box, Spot to) {
  return {std::clamp(to.x, box.left, box.right), std::clamp(to.y, box.top, box.bottom)};
}

double distance(const Frame& box, Spot to) {
  const Spot on = nearest(box, to);
  return std::hypot(on.x - to.x, on.y - to.y);
}

bool same(Spot a, Spot b) { return std::hypot(a.x - b.x, a.y - b.y) < 1; }

// Liang and Barsky: the part of the line within all four borders is not empty.
bool crosses(Spot from, Spot to, const Frame& box) {
  double enter = 0, leave = 1;
  const auto clip = [&](double step, double room) {  // step * t <= room
    if (step == 0) return room >= 0;
    (step < 0 ? enter : leave) =
        step < 0 ? std::max(enter, room / step) : std::min(leave, room / step);
    return enter <= leave;
  };
  const double dx = to.x - from.x, dy = to.y - from.y;
  return clip(-dx, from.x - box.left) && clip(dx, box.right - from.x) &&
         clip(-dy, from.y - box.top) && clip(dy, box.bottom - from.y);
}

}  // namespace

std::optional<double> LabelPlacer::cost(Spot point, const Frame& box, double gap) const {
  constexpr double kOnLine = 40, kLed = 8, kOver = 12;  // pixels that a label moves to avoid it
  constexpr double kRim = 3;                            // around it, in the paper's colour
  if (box.left < area_.left || box.right > area_.right || box.top < area_.top ||
      box.bottom > area_.bottom) {
    return std::nullopt;
  }
  for (const Frame& label : labels_) {
    if (overlaps(box, label) || crosses(point, nearest(box, point), label)) return std::nullopt;
  }
  for (const Spot& marker : markers_) {
    if (overlaps(box, around(marker, kMarker))) return std::nullopt;
  }
  const Frame rim{box.left - kRim, box.top, box.right + kRim, box.bottom};
  const bool on_line = std::any_of(lines_.begin(), lines_.end(), [&](const Line& line) {
    return crosses(line.from, line.to, rim);
  });
  const bool over = std::any_of(markers_.begin(), markers_.end(), [&](const Spot& marker) {
    return !same(marker, point) && crosses(point, nearest(box, point), around(marker, kMarker));
  });
  return gap + (on_line ? kOnLine : 0) + (needs_leader(point, box) ? kLed : 0) + (over ? kOver : 0);
}

bool LabelPlacer::needs_leader(Spot point, const Frame& box) const {
  const double own = distance(box, point);
  if (own > 2 * kBeside) return true;
  return std::any_of(markers_.begin(), markers_.end(), [&](const Spot& marker) {
    return !same(marker, point) && distance(box, marker) <= own;
  });
}

std::optional<LabelPlace> LabelPlacer::place(Spot point, double width) {
  constexpr int kDirections = 16;
  constexpr double kTurn = 2 * 3.14159265358979 / kDirections;
  const double height = size_ + 3;
  std::optional<double> best;
  Frame best_box{};
  for (const double gap : {kBeside, 16.0, 28.0, 42.0, 58.0, 76.0}) {
    for (int i = 0; i < kDirections; ++i) {  // from above, to both sides in turn
      const int turns = (i + 1) / 2;
      const double angle = kTurn * (i % 2 ? turns : -turns);
      const double right = std::sin(angle), down = -std::cos(angle);
      const Spot middle{point.x + right * (gap + width / 2), point.y + down * (gap + height / 2)};
      const Frame box{middle.x - width / 2, middle.y - height / 2, middle.x + width / 2,
                      middle.y + height / 2};
      const auto found = cost(point, box, gap);
      if (!found || (best && *found >= *best)) continue;
      best = found;
      best_box = box;
    }
  }
  if (!best) return std::nullopt;
  LabelPlace place{{(best_box.left + best_box.right) / 2, best_box.bottom - 3},
                   nearest(best_box, point),
                   needs_leader(point, best_box)};
  if (place.led) add_line(point, place.leader);
  labels_.push_back(best_box);
  return place;
}

}  // namespace sentinel
