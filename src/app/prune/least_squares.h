// Refits and optimal removals of features, in closed form from second moments.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "app/prune/moments.h"

namespace sentinel {

// E|y - W x - b|^2 of the map on the moments.
double squared_error(const Moments& moments, const LinearMap& map);

// The best bias for given weights: b = E y - W E x. w [n_x, n_y].
LinearMap with_best_bias(const Moments& moments, std::vector<float> w);

// argmin over W, b of E|y - W x - b|^2 + ridge * mean(diag xx) * |W - w0|^2, for one ridge after
// the other. Its error on the moments never exceeds that of w0 with its best bias.
class RidgeFit {
 public:
  RidgeFit(const Moments& moments, const std::vector<float>& w0);  // the moments outlive it
  ~RidgeFit();
  LinearMap operator()(double ridge) const;

 private:
  struct System;
  const Moments& moments_;
  std::unique_ptr<const System> system_;
};

// Removal of features one group after the other, each followed by the best refit of the rest
// (optimal brain surgeon; formulas in docs/pruning.md). Starts from the best refit of all features.
class OptimalRemoval {
 public:
  // n_y 0 in the moments: the targets are W0 x themselves. w0 [n_x, n_y].
  OptimalRemoval(const Moments& moments, const std::vector<float>& w0, int n_y, double ridge);
  ~OptimalRemoval();
  OptimalRemoval(OptimalRemoval&&) noexcept;

  // By how much the minimum grows when the features [first, first + count) go too.
  double cost(int first, int count) const;
  // The same for every feature on its own; infinite for the removed ones.
  std::vector<double> single_costs() const;
  void remove(std::span<const int> features);
  // The refit after a removal of [first, first + count), without doing it.
  LinearMap map_without(int first, int count) const;
  LinearMap map() const;        // rows of removed features are 0
  double removed_cost() const;  // for tests: sum of the costs of what was removed

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sentinel
