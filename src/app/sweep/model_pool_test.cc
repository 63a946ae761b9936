#include "app/sweep/model_pool.h"

#include <gtest/gtest.h>

namespace sentinel {
namespace {

TEST(ModelPool, SharesModelsOfTheSameOptionsAlone) {
  const auto checkpoint =
      Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini");
  ModelPool pool(checkpoint);
  const ModelOptions plain{.threads = 1};
  const auto model = pool.get(plain);
  EXPECT_EQ(pool.get(ModelOptions{.threads = 1}), model);
  EXPECT_NE(pool.get(plain, "a"), model);
  void (*const changes[])(ModelOptions&) = {
      [](ModelOptions& o) { o.weights = WeightType::int8; },
      [](ModelOptions& o) { o.kv = KvType::bf16; },
      [](ModelOptions& o) { o.agency = AgencyMode::off; },
      [](ModelOptions& o) { o.agency_options.recovery_period = 7; },
      [](ModelOptions& o) { o.kv_return = KvReturn::hole; },
      [](ModelOptions& o) {
        o.removed_heads = {{0, 1}};
      },
      [](ModelOptions& o) { o.protect_first = true; }};
  for (const auto change : changes) {
    ModelOptions options = plain;
    change(options);
    EXPECT_NE(pool.get(options), model);
    EXPECT_EQ(pool.get(options), pool.get(options));
  }
  ModelOptions options = plain;
  const std::vector<std::vector<float>> means(8, std::vector<float>(256));
  options.head_means = std::make_shared<const HeadMeans>(HeadMeans{"", 1, means});
  EXPECT_TRUE(pool.get(options)->info().head_means);
  options = plain;
  options.unpruned = checkpoint;
  EXPECT_NE(pool.get(options), model);
}

}  // namespace
}  // namespace sentinel
