// The order in which a layer's neurons go, in steps, and the output map that is left at each step.
#pragma once

#include <string_view>
#include <vector>

#include "app/prune/least_squares.h"
#include "app/prune/recovery.h"

namespace sentinel {

enum class FfnStrategy { random, magnitude, output, obs };
const char* to_string(FfnStrategy strategy);
FfnStrategy parse_ffn_strategy(std::string_view name);  // Error (usage)

// The cheaper, the earlier a neuron goes. random: from the seed; magnitude: sqrt(|w_up|^2 +
// |w_down|^2); output: root mean square of the activation x |w_down|. `moments` (for output) may
// have any targets. Error (usage) for obs, whose scores change with every removal.
std::vector<double> neuron_scores(FfnStrategy strategy, const EditableLayer& layer,
                                  const Moments& moments, uint64_t seed, int layer_index);

// Ascending scores; equal scores in order of index.
std::vector<int> ascending_order(const std::vector<double>& scores);

struct FfnPath {
  std::vector<int> order;       // neurons, the first to go in front
  int step = 0;                 // neurons per level; the last level may take fewer
  std::vector<LinearMap> maps;  // [levels] over the kept neurons, ascending; level k has lost the
                                // first min(k * step, n) of the order
  // The neurons kept at a level, ascending.
  std::vector<int> kept(int level) const;
  int removed_at(int level) const;
};

// By optimal removal, `batch` neurons at a time with an update after each, to at most `levels`
// levels. The maps are what `recover` gives with the moments' features: none: the old weights,
// bias: with the removed part's mean, refit: the best refit.
FfnPath obs_path(const EditableLayer& layer, const Moments& moments, Recover recover, double ridge,
                 int batch, int step, int levels);

}  // namespace sentinel
