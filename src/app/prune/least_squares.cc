#include "app/prune/least_squares.h"

#include <Eigen/Dense>
#include <limits>
#include <numeric>

#include "app/prune/blas_lock.h"
#include "base/error.h"

namespace sentinel {
namespace {

using RowMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using RowMatrixF = Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
using Vector = Eigen::VectorXd;

constexpr double kTiny = 1e-30;

auto matrix(const std::vector<double>& v, int rows, int cols) {
  return Eigen::Map<const RowMatrix>(v.data(), rows, cols);
}
RowMatrix matrix(const std::vector<float>& v, int rows, int cols) {
  return Eigen::Map<const RowMatrixF>(v.data(), rows, cols).cast<double>();
}

std::vector<float> floats(const RowMatrix& m) {
  std::vector<float> out(static_cast<size_t>(m.size()));
  Eigen::Map<RowMatrixF>(out.data(), m.rows(), m.cols()) = m.cast<float>();
  return out;
}

// Cholesky of H = xx + ridge * mean(diag xx) I, with ten times the ridge whenever H is not
// numerically positive definite.
struct Factor {
  Eigen::LLT<Eigen::MatrixXd> llt;
  double shift = 0;
};
Factor factor(const Moments& m, double ridge) {
  const auto xx = matrix(m.xx, m.n_x, m.n_x);
  double mean = m.n_x > 0 ? xx.diagonal().mean() : 0;
  // Few tokens leave rounding errors for a diagonal, perhaps below 0.
  for (const double x : m.mean_x) mean = std::max(mean, 1e-12 * x * x);
  Factor f;
  for (double r = std::max(ridge, 1e-10);; r *= 10) {
    f.shift = std::max(r * mean, kTiny);
    Eigen::MatrixXd h = xx;
    h.diagonal().array() += f.shift;
    f.llt.compute(h);
    if (f.llt.info() == Eigen::Success) return f;
    if (!(r < 1e6)) {
      throw runtime_error("calibration statistics are not finite; check the weights of this model");
    }
  }
}

// The lower triangle of H^-1 = L^-T L^-1 from H = L L', in n^3 2/3 operations: column blocks of
// L^-1 are 0 above the diagonal.
Eigen::MatrixXd lower_inverse(const Eigen::LLT<Eigen::MatrixXd>& llt) {
  const Eigen::MatrixXd& l = llt.matrixLLT();  // whose upper triangle is something else
  const Eigen::Index n = l.rows();
  constexpr Eigen::Index kColumns = 128;
  Eigen::MatrixXd of_l = Eigen::MatrixXd::Zero(n, n), inverse = of_l;
  for (Eigen::Index j = 0; j < n; j += kColumns) {
    const Eigen::Index left = n - j, width = std::min(kColumns, left);
    auto block = of_l.block(j, j, left, width);
    block.setIdentity();
    l.bottomRightCorner(left, left).triangularView<Eigen::Lower>().solveInPlace(block);
  }
  for (Eigen::Index j = 0; j < n; j += kColumns) {
    const Eigen::Index left = n - j, width = std::min(kColumns, left);
    inverse.block(j, j, left, width).noalias() =
        of_l.bottomRightCorner(left, left).triangularView<Eigen::Lower>().transpose() *
        of_l.block(j, j, left, width);
  }
  return inverse;
}

}  // namespace

double squared_error(const Moments& m, const LinearMap& map) {
  const BlasLock lock;
  const RowMatrix w = matrix(map.w, m.n_x, m.n_y);
  const auto xy = matrix(m.xy, m.n_x, m.n_y);
  double error = m.yy - 2 * w.cwiseProduct(xy).sum();
  constexpr int kRows = 256;  // xx W in slices: no second matrix of its size
  for (int first = 0; first < m.n_x; first += kRows) {
    const int n = std::min(kRows, m.n_x - first);
    const RowMatrix part = matrix(m.xx, m.n_x, m.n_x).middleRows(first, n) * w;
    error += w.middleRows(first, n).cwiseProduct(part).sum();
  }
  Vector gap = Eigen::Map<const Vector>(m.mean_y.data(), m.n_y) -
               w.transpose() * Eigen::Map<const Vector>(m.mean_x.data(), m.n_x);
  gap -= Eigen::Map<const Eigen::VectorXf>(map.bias.data(), m.n_y).cast<double>();
  return error + gap.squaredNorm();
}

LinearMap with_best_bias(const Moments& m, std::vector<float> w) {
  const BlasLock lock;
  LinearMap map{std::move(w), {}};
  const RowMatrix weights = matrix(map.w, m.n_x, m.n_y);
  const Vector b = Eigen::Map<const Vector>(m.mean_y.data(), m.n_y) -
                   weights.transpose() * Eigen::Map<const Vector>(m.mean_x.data(), m.n_x);
  map.bias.resize(static_cast<size_t>(m.n_y));
  Eigen::Map<Eigen::VectorXf>(map.bias.data(), m.n_y) = b.cast<float>();
  return map;
}

// H (W - w0) = xy - xx w0.
struct RidgeFit::System {
  RowMatrix start;
  Eigen::MatrixXd right;
};

RidgeFit::RidgeFit(const Moments& m, const std::vector<float>& w0) : moments_(m) {
  const BlasLock lock;
  auto system = std::make_unique<System>();
  system->start = matrix(w0, m.n_x, m.n_y);
  system->right = matrix(m.xy, m.n_x, m.n_y) - matrix(m.xx, m.n_x, m.n_x) * system->start;
  system_ = std::move(system);
}
RidgeFit::~RidgeFit() = default;

LinearMap RidgeFit::operator()(double ridge) const {
  const BlasLock lock;
  if (moments_.n_x == 0) return with_best_bias(moments_, {});
  const Factor f = factor(moments_, ridge);
  return with_best_bias(moments_, floats(system_->start + f.llt.solve(system_->right)));
}

struct OptimalRemoval::State {
  // Of H over the features that are left; 0 elsewhere. The lower triangle of a symmetric matrix.
  Eigen::MatrixXd inverse;
  RowMatrix w;  // the best refit
  Vector mean_x, mean_y;
  std::vector<bool> removed;
  double cost = 0;

  // Columns `index` of the inverse.
  Eigen::MatrixXd columns(std::span<const int> index) const {
    Eigen::MatrixXd out(inverse.rows(), static_cast<Eigen::Index>(index.size()));
    for (size_t c = 0; c < index.size(); ++c) {
      const auto j = static_cast<Eigen::Index>(index[c]);
      out.col(c).head(j) = inverse.row(j).head(j).transpose();
      out.col(c).tail(inverse.rows() - j) = inverse.col(j).tail(inverse.rows() - j);
    }
    return out;
  }

  LinearMap to_map(const RowMatrix& weights) const {
    LinearMap map{floats(weights), std::vector<float>(static_cast<size_t>(weights.cols()))};
    Eigen::Map<Eigen::VectorXf>(map.bias.data(), weights.cols()) =
        (mean_y - weights.transpose() * mean_x).cast<float>();
    return map;
  }
};

OptimalRemoval::OptimalRemoval(const Moments& m, const std::vector<float>& w0, int n_y,
                               double ridge)
    : state_(std::make_unique<State>()) {
  const BlasLock lock;
  State& s = *state_;
  s.w = matrix(w0, m.n_x, n_y);
  s.mean_x = Eigen::Map<const Vector>(m.mean_x.data(), m.n_x);
  s.removed.assign(static_cast<size_t>(m.n_x), false);
  s.mean_y = m.n_y > 0 ? Vector(Eigen::Map<const Vector>(m.mean_y.data(), m.n_y))
                       : Vector(s.w.transpose() * s.mean_x);
  if (m.n_x == 0) return;
  const Factor f = factor(m, ridge);
  if (m.n_y > 0) {
    const Eigen::MatrixXd right = matrix(m.xy, m.n_x, n_y) - matrix(m.xx, m.n_x, m.n_x) * s.w;
    s.w += f.llt.solve(right);
  }
  s.inverse = lower_inverse(f.llt);
}
OptimalRemoval::~OptimalRemoval() = default;
OptimalRemoval::OptimalRemoval(OptimalRemoval&&) noexcept = default;

double OptimalRemoval::cost(int first, int count) const {
  const BlasLock lock;
  const State& s = *state_;
  const auto w = s.w.middleRows(first, count);
  const Eigen::MatrixXd block = s.inverse.block(first, first, count, count);
  return w.cwiseProduct(RowMatrix(block.llt().solve(w))).sum();  // which reads the lower triangle
}

std::vector<double> OptimalRemoval::single_costs() const {
  const State& s = *state_;
  std::vector<double> costs;
  for (Eigen::Index j = 0; j < s.w.rows(); ++j) {
    costs.push_back(s.removed[j] ? std::numeric_limits<double>::infinity()
                                 : s.w.row(j).squaredNorm() / s.inverse(j, j));
  }
  return costs;
}

void OptimalRemoval::remove(std::span<const int> features) {
  const BlasLock lock;
  State& s = *state_;
  const auto n = static_cast<Eigen::Index>(features.size());
  if (n == 0) return;
  const std::vector<int> index(features.begin(), features.end());
  const Eigen::MatrixXd columns = s.columns(features);
  const Eigen::LLT<Eigen::MatrixXd> block(columns(index, Eigen::all));
  const RowMatrix w = s.w(index, Eigen::all);
  const RowMatrix solved = block.solve(w);
  s.cost += w.cwiseProduct(solved).sum();
  s.w.noalias() -= columns * solved;
  // C B^-1 C' = V V' with V' = L^-1 C' and B = L L'.
  const Eigen::MatrixXd v = block.matrixL().solve(columns.transpose());
  s.inverse.selfadjointView<Eigen::Lower>().rankUpdate(v.transpose(), -1);
  for (const int j : features) {  // exactly zero, whatever rounding left
    s.removed[j] = true;
    s.w.row(j).setZero();
    s.inverse.row(j).setZero();
    s.inverse.col(j).setZero();
  }
}

LinearMap OptimalRemoval::map_without(int first, int count) const {
  const BlasLock lock;
  const State& s = *state_;
  std::vector<int> index(static_cast<size_t>(count));
  std::iota(index.begin(), index.end(), first);
  const Eigen::MatrixXd columns = s.columns(index);
  const Eigen::MatrixXd block = columns.middleRows(first, count);
  RowMatrix w = s.w - columns * block.llt().solve(s.w.middleRows(first, count));
  w.middleRows(first, count).setZero();
  return s.to_map(w);
}

LinearMap OptimalRemoval::map() const {
  const BlasLock lock;
  return state_->to_map(state_->w);
}
double OptimalRemoval::removed_cost() const { return state_->cost; }

}  // namespace sentinel
