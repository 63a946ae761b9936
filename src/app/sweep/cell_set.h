// All cells of one run: made from the options, filled by measuring, collected into the result.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "app/prune/ranking.h"
#include "app/report/profile_result.h"
#include "app/sweep/cells.h"
#include "app/sweep/integration_points.h"
#include "app/sweep/profile_options.h"

namespace sentinel {

inline constexpr int kLevelsTestPruning = 30;  // percent, as in the old tool

class CellSet {
 public:
  CellSet() = default;
  // `isas`: the kernel sets that run here; one cell each, if they are asked for.
  CellSet(const ProfileOptions& options, const HeadRanking& ranking,
          const std::vector<std::string>& isas);

  // The plain transformer with nothing pruned.
  static Cell dense_original(const ProfileOptions& options);
  // Options of one level: its own number types; those asked for by name belong to one level.
  static ModelOptions level_options(const ProfileOptions& options, int level);
  static ModelOptions isa_options(const ProfileOptions& options, const std::string& isa);

  void add(PointCells points) { points_ = std::move(points); }
  // What an earlier run of the same options measured; cells that it lacks stay as they are.
  void restore(const ProfileResult& earlier);

  std::vector<Cell*> timed();               // in the order of a round
  std::vector<Cell*> judged();              // whose quality is measured
  std::vector<Cell*> recorded();            // whose single operations are
  std::vector<const Cell*> traced() const;  // those of them that a trace is kept of
  // Cells that were timed at least once.
  void collect(ProfileResult& result) const;

 private:
  std::deque<Cell> pruning_;       // original and optimized of each level, in turn
  std::optional<Cell> reference_;  // the dense original, when 0 % is not among the levels
  std::optional<Cell> again_;      // the dense original once more: A/A
  std::deque<Cell> levels_, isas_, components_;
  PointCells points_;
  bool records_pruning_ = false;
};

}  // namespace sentinel
