#include "model/packed_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/aligned_buffer.h"
#include "base/cpu_features.h"
#include "base/rng.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

constexpr int kIn = 70;  // of 96 with the padding

// Column 0 is all zero; the widest entry of an odd one is negative.
std::vector<float> columns() {
  Rng rng(3);
  std::vector<float> values(kPanel * kIn);
  for (int c = 1; c < kPanel; ++c) {
    for (int i = 0; i < kIn; ++i) values[c * kIn + i] = static_cast<float>(rng.uniform()) - 0.5F;
    values[c * kIn + 2 * c] = c % 2 ? -2.0F : 2.0F;
  }
  return values;
}

MatrixView view_of(const std::vector<float>& values) {
  return {reinterpret_cast<const std::byte*>(values.data()), DType::f32, kPanel, kIn, kIn, 1, "w"};
}

int number(WeightType type, const std::byte* panel, int i, int c) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(panel);
  if (type == WeightType::int8) return bytes[(i / 4 * kPanel + c) * 4 + i % 4] - 128;
  const uint8_t* group = bytes + i / kInt6Group * kInt6GroupBytes;
  const int quad = i % kInt6Group / 4, byte = c * 4 + i % 4;
  const int low = group[quad / 2 * 64 + byte] >> quad % 2 * 4 & 15;
  return low + (group[256 + quad / 4 * 64 + byte] >> quad % 4 * 2 & 3) * 16 - 32;
}

TEST(PackedMatrix, AScaleMapsTheWidestEntryOfItsOutput) {
  const std::vector<float> values = columns();
  const MatrixView view = view_of(values);
  const MatrixView* source = &view;
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
    for (const WeightType type : {WeightType::int8, WeightType::int6}) {
      PackedMatrix packed = packed_shape(type, kPanel, kIn);
      AlignedBuffer panel(static_cast<size_t>(packed.bytes()));
      float scales[kPanel];
      const PanelTask task{{&source, 1}, 0, kIn, type, packed.k, panel.data(), 0, scales};
      std::vector<float> scratch(static_cast<size_t>(pack_scratch(task)));
      ASSERT_EQ(pack_panel(task, kernels, scratch.data()), nullptr);
      EXPECT_EQ(scales[0], 0);
      for (int c = 0; c < kPanel; ++c) {
        for (int64_t i = 0; i < packed.k; ++i) {
          const double want = i < kIn ? values[c * kIn + i] : 0;
          const double got = double{scales[c]} * number(type, panel.data(), static_cast<int>(i), c);
          ASSERT_NEAR(got, want, std::fabs(scales[c]) * 1.0001) << isa << " " << i << "," << c;
        }
        const double widest = double{scales[c]} * number(type, panel.data(), 2 * c, c);
        EXPECT_NEAR(widest, values[c * kIn + 2 * c], 1e-6) << isa << " column " << c;
      }
    }
  }
}

// Row i of the product with a unit matrix is weight i of every output; a quantised 1 is exact.
TEST(PackedMatrix, UnpackedWeightsAreWhatProductsMultiplyWith) {
  const std::vector<float> values = columns();
  const MatrixView view = view_of(values);
  const MatrixView* source = &view;
  const KernelTable kernels = select_kernels(detect_cpu_features(), "scalar");
  for (int t = 0; t < kWeightTypes; ++t) {
    const auto type = static_cast<WeightType>(t);
    PackedMatrix packed = packed_shape(type, kPanel, kIn);
    AlignedBuffer panel(static_cast<size_t>(packed.bytes()));
    packed.data = panel.data();
    float scales[kPanel];
    if (has_column_scales(type)) packed.scales = scales;
    const PanelTask task{{&source, 1}, 0, kIn, type, packed.k, panel.data(), 0, packed.scales};
    std::vector<float> scratch(static_cast<size_t>(pack_scratch(task)));
    ASSERT_EQ(pack_panel(task, kernels, scratch.data()), nullptr);

    const Segment all{0, 0, static_cast<int32_t>(packed.k)};
    const auto width = static_cast<size_t>(operand_width(packed.k));
    AlignedBuffer space(width * sizeof(float));
    float input_scale = 0;
    int32_t block_sum = 0;
    std::vector<int32_t> starts(width / kSumBlock);
    for (int i = 0; i < kIn; ++i) {
      std::vector<float> x(width), y(kPanel), row(kIn);
      x[static_cast<size_t>(i)] = 1;
      LinearArgs args{};
      args.weights = panel.data();
      args.weight_scales = packed.scales;
      args.segments = &all;
      args.n_segments = 1;
      args.x = {space.data(), 0, &input_scale, 0, &block_sum, starts.data(), 0};
      args.rows = 1;
      args.y = y.data();
      args.n_out = kPanel;
      if (type == WeightType::f32) {
        args.x.data = reinterpret_cast<std::byte*>(x.data());
      } else {
        kernels.prepare[t]({x.data(), 0, 1, kIn, static_cast<int>(width), nullptr, -1, args.x});
      }
      kernels.linear[t](args, 0, 1);
      for (int c = 0; c < kPanel; ++c) {
        unpack_output(packed, c, kIn, row.data());
        ASSERT_NEAR(row[static_cast<size_t>(i)], y[static_cast<size_t>(c)], 1e-6) << t << " " << c;
      }
    }
  }
}

TEST(PackedMatrix, WhatIsNotFiniteIsFound) {
  std::vector<float> values = columns();
  values[5 * kIn + 69] = std::nanf("");
  const MatrixView view = view_of(values);
  const MatrixView* source = &view;
  const KernelTable kernels = select_kernels(detect_cpu_features(), "");
  const PackedMatrix packed = packed_shape(WeightType::f32, kPanel, kIn);
  AlignedBuffer panel(static_cast<size_t>(packed.bytes()));
  const PanelTask task{{&source, 1}, 0, kIn, WeightType::f32, packed.k, panel.data(), 0, nullptr};
  std::vector<float> scratch(static_cast<size_t>(pack_scratch(task)));
  EXPECT_EQ(pack_panel(task, kernels, scratch.data()), &view);
}

}  // namespace
}  // namespace sentinel
