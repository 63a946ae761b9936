#include "model/weight_views.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

namespace sentinel {
namespace {

template <typename T>
const std::byte* bytes_of(const T* data) {
  return reinterpret_cast<const std::byte*>(data);
}

// The definition of IEEE binary16, by arithmetic instead of by bits.
float half_by_definition(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  double value =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  if (exponent == 31) value = fraction ? std::nan("") : HUGE_VAL;
  return static_cast<float>(bits & 0x8000 ? -value : value);
}

TEST(WeightViews, EveryHalfIsReadExactly) {
  std::vector<uint16_t> bits(65536);
  for (size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<uint16_t>(i);
  std::vector<float> floats(bits.size());
  load_elements(bytes_of(bits.data()), DType::f16, 1, 65536, floats.data());
  for (size_t i = 0; i < bits.size(); ++i) {
    const float expected = half_by_definition(bits[i]);
    if (std::isnan(expected)) {
      ASSERT_TRUE(std::isnan(floats[i])) << i;
    } else {
      ASSERT_EQ(std::bit_cast<uint32_t>(floats[i]), std::bit_cast<uint32_t>(expected)) << i;
    }
    const float one = load_element(bytes_of(&bits[i]), DType::f16);
    ASSERT_EQ(std::bit_cast<uint32_t>(one), std::bit_cast<uint32_t>(floats[i]));
  }
}

TEST(WeightViews, EveryNumberOf16BitsSurvivesStoring) {
  for (const DType type : {DType::f16, DType::bf16}) {
    for (uint32_t i = 0; i < 65536; ++i) {
      const auto bits = static_cast<uint16_t>(i);
      const float value = load_element(bytes_of(&bits), type);
      uint16_t stored = 0;
      store_elements(&value, type, 1, reinterpret_cast<std::byte*>(&stored));
      if (std::isnan(value)) {
        ASSERT_TRUE(std::isnan(load_element(bytes_of(&stored), type))) << to_string(type) << i;
      } else {
        ASSERT_EQ(stored, bits) << to_string(type);
      }
    }
  }
}

// Storing must give the neighbour that is nearer, and the even one of two that are equally near.
TEST(WeightViews, StoringRoundsToNearestEven) {
  for (const DType type : {DType::f16, DType::bf16}) {
    const uint16_t last = type == DType::f16 ? 0x7bff : 0x7f7f;
    for (uint16_t bits = 0; bits < last; ++bits) {
      const auto next = static_cast<uint16_t>(bits + 1);
      const float low = load_element(bytes_of(&bits), type);
      const float high = load_element(bytes_of(&next), type);
      const float middle = low + (high - low) / 2;  // exact
      const float values[3] = {std::nextafter(middle, low), middle, std::nextafter(middle, high)};
      uint16_t stored[3];
      store_elements(values, type, 3, reinterpret_cast<std::byte*>(stored));
      ASSERT_EQ(stored[0], bits) << to_string(type);
      ASSERT_EQ(stored[1], bits % 2 == 0 ? bits : next) << to_string(type) << " " << bits;
      ASSERT_EQ(stored[2], next) << to_string(type);
    }
  }
}

TEST(WeightViews, StoringBeyondTheRangeGivesInfinity) {
  const float values[] = {65519.9F, 65520.0F, -1e30F};
  uint16_t stored[3];
  store_elements(values, DType::f16, 3, reinterpret_cast<std::byte*>(stored));
  EXPECT_EQ(stored[0], 0x7bff);
  EXPECT_EQ(stored[1], 0x7c00);
  EXPECT_EQ(stored[2], 0xfc00);
}

TEST(WeightViews, LoadsWithStrideFromAnyAddress) {
  std::vector<float> values(40);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i) - 11;
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    std::vector<std::byte> stored(1 + values.size() * size_of(type));
    store_elements(values.data(), type, std::ssize(values), stored.data() + 1);
    for (const int64_t stride : {1, 3}) {
      std::vector<float> out(13);
      load_elements(stored.data() + 1, type, stride, 13, out.data());
      for (int64_t i = 0; i < 13; ++i) EXPECT_EQ(out[i], values[i * stride]) << to_string(type);
    }
  }
}

TEST(WeightViews, MatrixAndVectorFollowTheirStrides) {
  std::vector<float> values(12);
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i);
  // [3, 4] stored row by row is W [4, 3] transposed.
  const MatrixView matrix{
      .data = bytes_of(values.data()), .n_out = 4, .n_in = 3, .out_stride = 1, .in_stride = 4};
  EXPECT_EQ(matrix.at(2, 1), 6);
  EXPECT_EQ(matrix.at(3, 2), 11);
  const VectorView vector{.data = bytes_of(values.data() + 2), .n = 3};
  EXPECT_EQ(vector.at(1), 3);
  EXPECT_EQ(vector.to_floats(), (std::vector<float>{2, 3, 4}));
  EXPECT_TRUE(VectorView{}.empty());
  EXPECT_TRUE(VectorView{}.to_floats().empty());
}

TEST(WeightViews, AllFiniteSeesOneBadElementAnywhere) {
  const float kInf = std::numeric_limits<float>::infinity();
  for (const DType type : {DType::f32, DType::f16, DType::bf16}) {
    const float largest = type == DType::f16 ? 65504.0F : 3e38F;
    std::vector<float> values(10000, -largest);
    std::vector<std::byte> stored(values.size() * size_of(type));
    store_elements(values.data(), type, std::ssize(values), stored.data());
    EXPECT_TRUE(all_finite(stored.data(), type, std::ssize(values)));
    EXPECT_TRUE(all_finite(nullptr, type, 0));
    for (const float bad : {kInf, -kInf, std::nanf("")}) {
      for (const size_t place : {size_t{0}, size_t{4095}, size_t{4096}, size_t{9999}}) {
        std::vector<std::byte> broken = stored;
        store_elements(&bad, type, 1, broken.data() + place * size_of(type));
        EXPECT_FALSE(all_finite(broken.data(), type, std::ssize(values))) << place;
        EXPECT_TRUE(all_finite(broken.data(), type, static_cast<int64_t>(place)));
      }
    }
  }
}

}  // namespace
}  // namespace sentinel
