// Where labels of points go.
#pragma once

#include <optional>
#include <vector>

#include "app/report/charts_axes.h"
#include "app/report/charts_drawing.h"

namespace sentinel {

struct LabelPlace {
  Spot text;    // of the middle of its base line
  Spot leader;  // end of a line from the point to the label; where `led`
  bool led = false;
};

// Finds room: never on a marker or another label, on a line only if nothing else is near. What is
// not right beside its point, or nearer to another's marker, gets a line to it.
class LabelPlacer {
 public:
  LabelPlacer(const Frame& area, double size) : area_(area), size_(size) {}

  void add_marker(Spot at) { markers_.push_back(at); }
  void add_line(Spot from, Spot to) { lines_.push_back({from, to}); }

  // Takes the room; empty if there is none.
  std::optional<LabelPlace> place(Spot point, double width);

 private:
  struct Line {
    Spot from, to;
  };
  // Lower is better; empty: not possible.
  std::optional<double> cost(Spot point, const Frame& box, double gap) const;
  bool needs_leader(Spot point, const Frame& box) const;

  Frame area_;
  double size_;
  std::vector<Spot> markers_;
  std::vector<Frame> labels_;
  std::vector<Line> lines_;
};

}  // namespace sentinel
