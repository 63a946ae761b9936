#include "model/agency/contribution.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/cpu_features.h"
#include "base/rng.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

// Every head of the bundled model against the norm of the product itself, on every instruction set.
TEST(ContributionNorms, EqualTheNormOfTheProduct) {
  const auto checkpoint =
      Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini");
  const ModelConfig& config = checkpoint->config();
  ThreadPool pool(2);
  Rng rng(3);
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
    const ContributionNorms norms(*checkpoint, kernels, pool);
    for (int layer = 0; layer < config.n_layers; ++layer) {
      for (int head = 0; head < config.n_heads; ++head) {
        std::vector<float> c(static_cast<size_t>(config.head_dim));
        for (float& v : c) v = static_cast<float>(rng.normal());
        double square = 0;
        const MatrixView& o = checkpoint->view().layers[layer].heads[head].o;
        for (int64_t row = 0; row < o.n_out; ++row) {
          double sum = 0;
          for (int64_t e = 0; e < o.n_in; ++e) sum += double{o.at(row, e)} * c[e];
          square += sum * sum;
        }
        const double want = std::sqrt(square);
        ASSERT_NEAR(norms.norm(layer, head, c.data()), want, 1e-4 * want) << isa;
      }
    }
  }
}

}  // namespace
}  // namespace sentinel
