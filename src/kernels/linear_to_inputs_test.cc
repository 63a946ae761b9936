// Products that leave their results as inputs of the next product equal a product followed by
// prepare, bit for bit.
#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/cpu_features.h"
#include "base/rng.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

struct Inputs {
  Inputs(int rows, int k)
      : data((rows + 32) * (2 * k + 192)),
        scales(rows * (k / 256 + 2)),
        block_sums(scales.size()),
        sums(rows * (k / 32 + 2)) {
    operand = {data.data(),       2 * k + 192, scales.data(), k / 256 + 2,
               block_sums.data(), sums.data(), k / 32 + 2};
  }
  AlignedBuffer data;
  std::vector<float> scales;
  std::vector<int32_t> block_sums, sums;
  Operand operand;
};

class LinearToInputs : public testing::TestWithParam<std::tuple<std::string, WeightType>> {};

TEST_P(LinearToInputs, EqualsAProductThenPrepare) {
  const auto [isa, type] = GetParam();
  const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
  const int t = static_cast<int>(type);
  if (!kernels.linear_to_inputs[t]) GTEST_SKIP() << isa << " has none";
  Rng rng(3);
  for (const int rows : {5, 15, 17, 63}) {
    for (const int n_out : {16, 32, 48, 96, 240, 256, 272, 368, 832}) {
      const int k = 64 * (1 + static_cast<int>(rng.below(14)));
      const int panels = n_out / kPanel, per_k = type == WeightType::bf16   ? 32
                                                 : type == WeightType::int8 ? 16
                                                                            : 12;
      AlignedBuffer weights(panels * k * per_k + 1024);
      std::vector<float> w(k * kPanel), scales(n_out), bias(n_out), x(rows * k), y(rows * n_out);
      for (float& v : scales) v = 0.02F + 0.01F * static_cast<float>(rng.uniform());
      for (float& v : bias) v = static_cast<float>(rng.uniform()) - 0.5F;
      for (float& v : x) v = static_cast<float>(rng.uniform()) - 0.5F;
      for (int p = 0; p < panels; ++p) {
        for (float& v : w) v = static_cast<float>(rng.uniform()) - 0.5F;
        kernels.encode[t](w.data(), k, scales.data() + p * kPanel, weights.data() + p * k * per_k);
      }
      Inputs in(rows, k), want(rows, n_out), got(rows, n_out);
      std::memset(got.data.data(), 0x7f, got.data.size());  // what was there counts for nothing
      kernels.prepare[t]({x.data(), k, rows, k, k, nullptr, -1, in.operand});
      const Segment segment{0, 0, k};
      LinearArgs args{};
      args.weights = weights.data();
      args.panel_stride = k * per_k;
      args.weight_scales = scales.data();
      args.segments = &segment;
      args.n_segments = 1;
      args.x = in.operand;
      args.rows = rows;
      args.y = y.data();
      args.y_stride = args.n_out = n_out;
      args.bias = bias.data();
      args.epilogue = Epilogue::gelu_tanh;
      kernels.linear[t](args, 0, panels);
      kernels.prepare[t](
          {y.data(), n_out, rows, n_out, (n_out + 63) / 64 * 64, nullptr, -1, want.operand});
      const int first_part = std::min(panels, kInputPanels);
      kernels.linear_to_inputs[t](args, got.operand, 0, first_part);
      kernels.linear_to_inputs[t](args, got.operand, first_part, panels);
      const int bytes = (n_out + 31) / 32 * 32 * (type == WeightType::bf16 ? 2 : 1);
      for (int r = 0; r < rows; ++r) {
        EXPECT_EQ(std::memcmp(want.operand.data + r * want.operand.stride,
                              got.operand.data + r * got.operand.stride, bytes),
                  0)
            << "row " << r << " of " << rows << ", k " << k << ", outputs " << n_out;
      }
      EXPECT_EQ(want.scales, got.scales);
      EXPECT_EQ(want.block_sums, got.block_sums);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, LinearToInputs,
                         testing::Combine(testing::ValuesIn(available_isas(detect_cpu_features())),
                                          testing::Values(WeightType::bf16, WeightType::int8,
                                                          WeightType::int6)),
                         [](const auto& param) {
                           const WeightType type = std::get<1>(param.param);
                           return std::get<0>(param.param) + (type == WeightType::bf16   ? "_bf16"
                                                              : type == WeightType::int8 ? "_int8"
                                                                                         : "_int6");
                         });

}  // namespace
}  // namespace sentinel
