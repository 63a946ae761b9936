// Second moments against plain sums, and the theorems that refits rest on, on correlated data.
#include "app/prune/least_squares.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <numeric>

#include "base/rng.h"
#include "kernels/registry.h"
#include "model/checkpoint/edited_checkpoint.h"

namespace sentinel {
namespace {

// The moments of the features with these ascending indices alone.
Moments select_features(const Moments& m, const std::vector<int>& kept) {
  Moments out;
  out.n_x = static_cast<int>(kept.size());
  out.n_y = m.n_y;
  out.weight = m.weight;
  out.mean_y = m.mean_y;
  out.yy = m.yy;
  for (const int i : kept) {
    out.mean_x.push_back(m.mean_x[i]);
    const double* row = m.xx.data() + int64_t{i} * m.n_x;
    for (const int j : kept) out.xx.push_back(row[j]);
    const double* cross = m.xy.data() + int64_t{i} * m.n_y;
    out.xy.insert(out.xy.end(), cross, cross + m.n_y);
  }
  return out;
}

struct Data {
  int rows, n_x, n_y;
  std::vector<float> x, y, weights, w0;
  std::vector<float> bias;
};

// Features with a common factor, an offset and a near-dead column; targets from them and noise.
Data correlated(int rows, int n_x, int n_y, uint64_t seed) {
  Rng rng(seed);
  Data d{rows, n_x, n_y, {}, {}, {}, {}, {}};
  std::vector<double> loading, offset;
  for (int j = 0; j < n_x; ++j) {
    loading.push_back(rng.normal());
    offset.push_back(3 * rng.normal());
  }
  for (int i = 0; i < n_x * n_y; ++i) d.w0.push_back(static_cast<float>(rng.normal()));
  for (int o = 0; o < n_y; ++o) d.bias.push_back(static_cast<float>(rng.normal()));
  for (int r = 0; r < rows; ++r) {
    const double common = rng.normal();
    for (int j = 0; j < n_x; ++j) {
      const double scale = j == n_x / 2 ? 1e-4 : 1;
      d.x.push_back(
          static_cast<float>(scale * (offset[j] + 2 * loading[j] * common + rng.normal())));
    }
    for (int o = 0; o < n_y; ++o) {
      double sum = d.bias[o] + 0.1 * rng.normal();
      for (int j = 0; j < n_x; ++j) sum += d.x[int64_t{r} * n_x + j] * d.w0[j * n_y + o];
      d.y.push_back(static_cast<float>(sum));
    }
    d.weights.push_back(static_cast<float>(rng.below(4)));  // some rows count nothing
  }
  return d;
}

Moments moments_of(const Data& d, ThreadPool& pool) {
  const KernelTable& kernels = select_kernels(detect_cpu_features(), "");
  MomentAccumulator sums(d.n_x, d.n_y, kernels, pool);
  // In uneven parts: blocks inside must not matter.
  const int first = d.rows / 3;
  sums.add(d.x.data(), d.y.data(), d.weights.data(), first);
  sums.add(d.x.data() + int64_t{first} * d.n_x, d.y.data() + int64_t{first} * d.n_y,
           d.weights.data() + first, d.rows - first);
  return sums.finish();
}

double error_of(const Data& d, const std::vector<float>& w, const std::vector<float>& bias) {
  double sum = 0, weight = 0;
  for (int r = 0; r < d.rows; ++r) {
    for (int o = 0; o < d.n_y; ++o) {
      double e = d.y[int64_t{r} * d.n_y + o] - double{bias[o]};
      for (int j = 0; j < d.n_x; ++j) e -= double{w[j * d.n_y + o]} * d.x[int64_t{r} * d.n_x + j];
      sum += d.weights[r] * e * e;
    }
    weight += d.weights[r];
  }
  return sum / weight;
}

TEST(Moments, EqualPlainSumsForOddSizesAndThreads) {
  for (const int threads : {1, 3}) {
    ThreadPool pool(threads);
    const Data d = correlated(2500, 37, 19, 1);
    const Moments m = moments_of(d, pool);
    double weight = 0;
    std::vector<double> mean(37);
    for (int r = 0; r < d.rows; ++r) {
      weight += d.weights[r];
      for (int j = 0; j < 37; ++j) mean[j] += double{d.weights[r]} * d.x[r * 37 + j];
    }
    for (double& value : mean) value /= weight;
    EXPECT_DOUBLE_EQ(m.weight, weight);
    for (int i = 0; i < 37; ++i) {
      EXPECT_NEAR(m.mean_x[i], mean[i], 1e-5 * (1 + std::fabs(mean[i])));
      for (int j = 0; j < 37; ++j) {
        double c = 0;
        for (int r = 0; r < d.rows; ++r) {
          c += d.weights[r] * (d.x[r * 37 + i] - mean[i]) * (d.x[r * 37 + j] - mean[j]);
        }
        EXPECT_NEAR(m.xx[i * 37 + j], c / weight, 2e-4);
      }
    }
    EXPECT_NEAR(squared_error(m, {d.w0, d.bias}), error_of(d, d.w0, d.bias), 1e-3);
  }
}

TEST(LeastSquares, RefitNeverLosesToBiasNorBiasToNothing) {
  ThreadPool pool(2);
  for (uint64_t seed = 0; seed < 6; ++seed) {
    const Data d = correlated(600, 48, 16, seed);
    const Moments all = moments_of(d, pool);
    std::vector<int> kept;
    Rng rng(seed);
    for (int j = 0; j < 48; ++j) {
      if (rng.uniform() < 0.5) kept.push_back(j);
    }
    const Moments m = select_features(all, kept);
    std::vector<float> w;
    for (const int j : kept) w.insert(w.end(), d.w0.begin() + j * 16, d.w0.begin() + (j + 1) * 16);
    const double none = squared_error(m, {w, d.bias});
    const double bias = squared_error(m, with_best_bias(m, w));
    EXPECT_LE(bias, none * (1 + 1e-9));
    double before = bias;
    const RidgeFit fit(m, w);
    for (const double ridge : {1.0, 1e-1, 1e-2, 1e-4}) {  // less ridge, less error
      const double refit = squared_error(m, fit(ridge));
      EXPECT_LE(refit, before * (1 + 1e-6)) << "ridge " << ridge;
      before = refit;
    }
    EXPECT_LT(before, 0.9 * bias);  // correlated features: the refit has something to gain
  }
}

TEST(LeastSquares, NoFeaturesLeaveTheMean) {
  ThreadPool pool(1);
  const Data d = correlated(100, 16, 8, 3);
  const Moments m = select_features(moments_of(d, pool), {});
  const LinearMap map = RidgeFit(m, {})(1e-2);
  ASSERT_EQ(map.bias.size(), 8u);
  for (int o = 0; o < 8; ++o) EXPECT_NEAR(map.bias[o], m.mean_y[o], 1e-5);
}

// blas_lock.h
TEST(LeastSquares, FitsFromSeveralThreadsAreThoseOfOne) {
  const Data d = correlated(1500, 1024, 256, 5);
  ThreadPool pool(2);
  const Moments m = moments_of(d, pool);
  constexpr double kRidges[] = {1e-4, 1e-3, 1e-2, 1e-1};
  const auto errors = [&](int threads) {
    ThreadPool some(threads);
    const RidgeFit fit(m, d.w0);
    std::vector<double> of_fits(32);
    std::atomic<size_t> next{0};
    some.run([&](int) {
      for (size_t i; (i = next++) < of_fits.size();) {
        of_fits[i] = squared_error(m, fit(kRidges[i % 4]));
      }
    });
    return of_fits;
  };
  EXPECT_EQ(errors(2), errors(1));
}

TEST(OptimalRemoval, ClosedFormEqualsRefitOfWhatIsLeft) {
  ThreadPool pool(2);
  const Data d = correlated(1500, 40, 12, 7);
  const Moments m = moments_of(d, pool);
  // The ridge draws towards w0; without it both are the plain least squares solution.
  OptimalRemoval removal(m, d.w0, 12, 1e-9);
  const double start = squared_error(m, removal.map());
  double cost = 0;
  for (const std::vector<int>& group :
       {std::vector<int>{3, 4, 5, 6}, std::vector<int>{20}, std::vector<int>{30, 9, 11}}) {
    if (group.size() == 4) {
      const double predicted = removal.cost(3, 4);
      const LinearMap without = removal.map_without(3, 4);
      removal.remove(group);
      EXPECT_NEAR(removal.removed_cost(), predicted, 1e-9 * (1 + predicted));
      const LinearMap now = removal.map();
      for (size_t i = 0; i < now.w.size(); ++i) EXPECT_NEAR(now.w[i], without.w[i], 1e-4);
    } else {
      removal.remove(group);
    }
  }
  cost = removal.removed_cost();
  std::vector<int> kept;
  for (int j = 0; j < 40; ++j) {
    if (std::isfinite(removal.single_costs()[j])) kept.push_back(j);
  }
  ASSERT_EQ(kept.size(), 32u);
  const Moments left = select_features(m, kept);
  std::vector<float> w;
  for (const int j : kept) w.insert(w.end(), d.w0.begin() + j * 12, d.w0.begin() + (j + 1) * 12);
  const LinearMap refit = RidgeFit(left, w)(1e-9);
  const LinearMap updated = removal.map();
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i] == 20) continue;
    for (int o = 0; o < 12; ++o) {
      EXPECT_NEAR(updated.w[kept[i] * 12 + o], refit.w[i * 12 + o], 2e-2) << kept[i];
    }
  }
  // The cost is by how much the error grew.
  const double end = squared_error(left, refit);
  EXPECT_NEAR(end - start, cost, 1e-3 * (1 + cost));
}

TEST(OptimalRemoval, SingleCostsAreWhatRemovingOneCosts) {
  ThreadPool pool(1);
  const Data d = correlated(800, 24, 8, 9);
  const Moments m = moments_of(d, pool);
  const OptimalRemoval removal(m, d.w0, 8, 1e-3);
  const std::vector<double> single = removal.single_costs();
  for (int j = 0; j < 24; ++j) {
    EXPECT_NEAR(single[j], removal.cost(j, 1), 1e-6 * (1 + single[j]));
  }
}

// More features than are inverted at a time.
TEST(OptimalRemoval, CostsOfManyFeaturesAreTheGrowthOfTheError) {
  ThreadPool pool(2);
  const Data d = correlated(1200, 200, 4, 11);
  const Moments m = moments_of(d, pool);
  const OptimalRemoval removal(m, d.w0, 4, 1e-9);
  const double before = squared_error(m, removal.map());
  const std::vector<double> costs = removal.single_costs();
  for (const int gone : {0, 127, 128, 199}) {
    const std::vector<int> kept = all_but(200, {{gone}});
    const Moments left = select_features(m, kept);
    std::vector<float> w;
    for (const int j : kept) w.insert(w.end(), d.w0.begin() + j * 4, d.w0.begin() + (j + 1) * 4);
    const double after = squared_error(left, RidgeFit(left, w)(1e-9));
    EXPECT_NEAR(costs[gone], after - before, 1e-3 * (1 + costs[gone])) << gone;
  }
}

}  // namespace
}  // namespace sentinel
