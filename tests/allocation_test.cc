// The decode loop allocates nothing: every operator new of this binary is counted.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "model/model.h"
#include "model/sampler.h"

namespace {
std::atomic<int64_t> allocations{0};

void* counted(size_t size) {
  allocations.fetch_add(1, std::memory_order_relaxed);
  if (void* memory = std::malloc(size ? size : 1)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(size_t size) { return counted(size); }
void* operator new[](size_t size) { return counted(size); }
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace sentinel {
namespace {

class Allocation : public testing::TestWithParam<int> {};

// With tracking (and automatic transitions) on, at every fast level.
TEST_P(Allocation, DecodingAndSamplingAllocateNothing) {
  const auto model =
      Model::create(Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini"),
                    {.level = GetParam(),
                     .threads = 2,
                     .agency = AgencyMode::automatic,
                     .agency_options = {.overload_threshold = 0.1, .recovery_period = 8}});
  const int vocab = model->config().vocab_size;
  const auto session = model->new_session(1, 512);
  std::vector<float> logits(static_cast<size_t>(vocab));
  Sampler top_k({.temperature = 0.8, .top_k = 40}, vocab);
  Sampler top_p({.temperature = 1, .top_k = 0, .top_p = 0.9, .repetition_penalty = 1.1}, vocab);
  const std::vector<int32_t> prompt = {1, 2, 3};
  session->prefill(0, prompt, logits.data());
  int32_t token = top_k.sample(logits);
  session->step({&token, 1}, logits.data());  // the first step may still build the plan
  model->heads().set_consent({1, 1}, false);
  session->step({&token, 1}, logits.data());  // ... and the first closed head its layer's inputs
  const uint64_t version = model->heads().version();
  const int64_t before = allocations.load();
  for (int i = 0; i < 50; ++i) {
    token = i % 2 ? top_k.sample(logits) : top_p.sample(logits);
    top_p.accept(token);
    model->heads().set_gate({2, 2}, 0.5F + 0.01F * static_cast<float>(i));
    // Refused and logged; at level 3 the head is gone, and opening it an error.
    if (GetParam() < 3) model->heads().set_state({1, 1}, HeadState::active);
    session->step({&token, 1}, logits.data());
  }
  EXPECT_EQ(allocations.load() - before, 0);
  EXPECT_GT(model->heads().version(), version + 50);  // states changed by themselves as well
  EXPECT_EQ(model->heads().violation_count(), GetParam() < 3 ? 50 : 0);
  const auto probe = std::make_unique<int>(token);  // the counter counts
  EXPECT_GT(allocations.load(), before);
}

INSTANTIATE_TEST_SUITE_P(Levels, Allocation, testing::Values(1, 2, 3));

}  // namespace
}  // namespace sentinel
