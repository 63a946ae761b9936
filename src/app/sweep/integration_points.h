// `profile --test_integration_points`: what baseline mixing and U-Net skips bring and cost, alone
// and together, at 0 and 50 % pruning.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "app/prune/integration_fit.h"
#include "app/prune/ranking.h"
#include "app/report/profile_result.h"
#include "app/sweep/cells.h"
#include "app/sweep/profile_options.h"

namespace sentinel {

inline constexpr int kPointsPruning = 50;  // percent; the other level is 0
// What the points are fitted with; the caller's to add is `cancel`.
IntegrationFitOptions points_fit_options();

// The cells of the test, by configuration: original, optimized_all, opt_no_baseline, opt_no_unet,
// opt_minimal, and the cpu_* ones if they are asked for. --disable_baseline and --disable_unet
// leave out the configurations that have such a point.
class PointCells {
 public:
  PointCells() = default;
  // `fitted`: for the heads that 50 % removes.
  PointCells(const ProfileOptions& options, const HeadRanking& ranking, const ModelConfig& config,
             std::shared_ptr<const IntegrationWeights> fitted);

  void restore(const ProfileResult& earlier);
  void append_to(std::vector<Cell*>& cells);
  void collect(ProfileResult& result) const;  // cells that were timed, and the verdicts

 private:
  struct Entry {
    std::string configuration;
    Cell cell;
  };
  std::deque<Entry> entries_;
};

// A plain sentence on each point that was measured: what it changes, and whether it pays, which is
// when it lowers perplexity by 1 % or more and nothing measured without it is as fast and as good.
std::vector<std::string> point_verdicts(const ProfileResult& result);

}  // namespace sentinel
