// Every product kernel of every instruction set this machine has, against double sums over the
// decoded weights and operands: random shapes, odd sizes, skip lists, nothing left to do.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/aligned_buffer.h"
#include "base/bf16.h"
#include "base/cpu_features.h"
#include "base/rng.h"
#include "kernels/ref/plain.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

float half_to_float(uint16_t half) {
  const double sign = half & 0x8000 ? -1 : 1;
  const int exponent = (half >> 10) & 31, mantissa = half & 1023;
  if (exponent == 0) return static_cast<float>(sign * std::ldexp(mantissa, -24));
  return static_cast<float>(sign * std::ldexp(1024 + mantissa, exponent - 25));
}

int64_t bytes_of(WeightType type, int64_t k) {
  switch (type) {
    case WeightType::f32:
      return k * 64;
    case WeightType::bf16:
      return k * 32;
    case WeightType::int8:
      return k * 16;
    case WeightType::int6:
      return k / 32 * 384;
    case WeightType::int4:
      return k / 64 * 576;
  }
  return 0;
}

// Weight (k, column) of a panel, read back by the layout's definition.
double decoded(WeightType type, const std::byte* panel, int64_t k, int c, const float* scales) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(panel);
  switch (type) {
    case WeightType::f32:
      return reinterpret_cast<const float*>(panel)[k * 16 + c];
    case WeightType::bf16: {
      uint16_t half;
      std::memcpy(&half, bytes + (k / 2 * 16 + c) * 4 + k % 2 * 2, 2);
      return from_bf16(half);
    }
    case WeightType::int8:
      return (bytes[(k / 4 * 16 + c) * 4 + k % 4] - 128.0) * scales[c];
    case WeightType::int6: {
      const uint8_t* group = bytes + k / 32 * 384;
      const int64_t quad = k % 32 / 4, byte = c * 4 + k % 4;
      const int low = group[quad / 2 * 64 + byte] >> quad % 2 * 4 & 15;
      const int high = group[256 + quad / 4 * 64 + byte] >> quad % 4 * 2 & 3;
      return (16.0 * high + low - 32) * scales[c];
    }
    case WeightType::int4: {
      const uint8_t* step = bytes + k / 64 * 576;
      const int64_t in_step = k % 64, quad = in_step / 4;
      const uint8_t byte = step[quad / 2 * 64 + c * 4 + k % 4];
      const int nibble = quad % 2 ? byte >> 4 : byte & 15;
      uint16_t half;
      std::memcpy(&half, step + 512 + in_step / 32 * 32 + 2 * c, 2);
      return (nibble - 8.0) * half_to_float(half);
    }
  }
  return 0;
}

struct Case {
  WeightType type;
  int rows, k, n_out;
  bool skip;  // leave some inputs and some panels out
  Epilogue epilogue;
  int run = 0;  // inputs of every segment, as heads have them; 0: of any length
};

// One product with its expected result; memory behind the operand is poisoned where kernels must
// not use it.
class Product {
 public:
  Product(const KernelTable& kernels, const Case& c, Rng& rng) : kernels_(kernels), c_(c) {
    panels_ = (c.n_out + 15) / 16;
    stride_ = bytes_of(c.type, c.k);
    fill_weights(rng);
    fill_inputs(rng);
    choose_parts(rng);
  }

  // The largest error beyond a share of `relative` of the result.
  double worst_error(double relative = 0) {
    const int64_t width = panels_ * 16 + 5;
    std::vector<float> y(c_.rows * width, 0.25F);
    const std::vector<float> bias = biases();
    const LinearArgs args = arguments(y, bias);
    kernels_.linear[static_cast<int>(c_.type)](args, 0, static_cast<int64_t>(list_.size()));
    double worst = 0;
    for (int r = 0; r < c_.rows; ++r) {
      for (int64_t o = 0; o < width; ++o) {
        const bool computed = o < c_.n_out && std::count(list_.begin(), list_.end(), o / 16) > 0;
        const double want = computed ? expected(args.x, r, o, bias[o]) : 0.25;
        worst = std::max(worst, std::fabs(want - y[r * width + o]) - relative * std::fabs(want));
      }
    }
    return worst;
  }

  // Whether window[], or linear[] itself, gives every row what linear[] gives it alone, to the last
  // bit.
  bool rows_are_independent(bool window) {
    const int64_t width = panels_ * 16 + 5;
    std::vector<float> together(c_.rows * width, 0.25F), alone = together;
    const std::vector<float> bias = biases();
    LinearArgs args = arguments(together, bias);
    const auto n = static_cast<int64_t>(list_.size());
    (window ? kernels_.window : kernels_.linear)[static_cast<int>(c_.type)](args, 0, n);
    const Operand all = args.x;
    args.rows = 1;
    for (int r = 0; r < c_.rows; ++r) {
      args.x.data = all.data + r * all.stride;
      args.x.scales = all.scales + r * all.scales_stride;
      args.x.block_sums = all.block_sums + r * all.scales_stride;
      args.x.starts = all.starts + r * all.starts_stride;
      args.y = alone.data() + r * width;
      kernels_.linear[static_cast<int>(c_.type)](args, 0, n);
    }
    return together == alone;
  }

 private:
  std::vector<float> biases() const {
    std::vector<float> bias(panels_ * 16);
    for (size_t i = 0; i < bias.size(); ++i) bias[i] = 0.01F * static_cast<float>(i % 7);
    return bias;
  }

  LinearArgs arguments(std::vector<float>& y, const std::vector<float>& bias) {
    LinearArgs args{};
    args.weights = weights_.data();
    args.panel_stride = stride_;
    args.weight_scales = scales_.data();
    args.segments = segments_.data();
    args.n_segments = static_cast<int>(segments_.size());
    args.panels = c_.skip ? list_.data() : nullptr;
    args.x = operand();
    args.rows = c_.rows;
    args.y = y.data();
    args.y_stride = panels_ * 16 + 5;
    args.n_out = c_.n_out;
    args.bias = bias.data();
    args.epilogue = c_.epilogue;
    return args;
  }

  void fill_weights(Rng& rng) {
    weights_ = AlignedBuffer(panels_ * stride_ + 1024);
    scales_.resize(panels_ * 16);
    for (int p = 0; p < panels_; ++p) {
      std::vector<float> rows(c_.k * 16);
      for (float& w : rows) w = static_cast<float>(rng.normal() / std::sqrt(double(c_.k)));
      for (int col = 0; col < 16; ++col) {
        float high = 0;
        for (int i = 0; i < c_.k; ++i) high = std::max(high, std::fabs(rows[i * 16 + col]));
        scales_[p * 16 + col] = high / (c_.type == WeightType::int8 ? 127 : col % 2 ? -32 : 32);
      }
      const auto encode = kernels_.encode[static_cast<int>(c_.type)];
      std::byte* panel = weights_.data() + p * stride_;
      if (encode) {
        encode(rows.data(), c_.k, scales_.data() + p * 16, panel);
      } else {
        std::memcpy(panel, rows.data(), rows.size() * 4);
      }
    }
  }

  void fill_inputs(Rng& rng) {
    x_stride_ = c_.k + 16;
    x_.resize(c_.rows * x_stride_);
    for (float& x : x_) x = static_cast<float>(rng.normal());
    width_ = c_.k + 64;
    operand_ = AlignedBuffer((c_.rows + 32) * width_ * 4);
    std::memset(operand_.data(), 0x7f, operand_.size());  // bf16: huge; int8: 127
    input_scales_.assign(c_.rows * (width_ / 256 + 1), 1e30F);
    block_sums_.assign(input_scales_.size(), 1 << 20);
    sums_.assign(c_.rows * (width_ / 32), 1 << 20);
  }

  void choose_parts(Rng& rng) {
    const int unit = c_.type == WeightType::int4 ? 64 : 32;
    for (int k = 0; c_.run > 0 && k + c_.run <= c_.k; k += (c_.run + 63) / 64 * 64) {
      segments_.push_back({bytes_of(c_.type, k), k, c_.run});
    }
    for (int k = 0; c_.run == 0 && k < c_.k; k += unit) {
      if (c_.skip && rng.uniform() < 0.5) continue;
      // With a skip list int4 segments may also end in the middle of a step.
      const Segment next{bytes_of(c_.type, k), k, c_.skip && rng.uniform() < 0.3 ? 32 : unit};
      if (!c_.skip && !segments_.empty()) {
        segments_.back().k += next.k;  // one long run
      } else {
        segments_.push_back(next);
      }
    }
    for (int p = 0; p < panels_; ++p) {
      if (!c_.skip || rng.uniform() < 0.6) list_.push_back(p);
    }
  }

  Operand operand() {
    Operand out{};
    if (c_.type == WeightType::f32) {
      out.data = reinterpret_cast<std::byte*>(x_.data());
      out.stride = x_stride_ * 4;
      return out;
    }
    out.data = operand_.data();
    out.stride = width_ * input_bytes();
    out.scales = input_scales_.data();
    out.scales_stride = width_ / 256 + 1;
    out.block_sums = block_sums_.data();
    out.starts = sums_.data();
    out.starts_stride = width_ / 32;
    kernels_.prepare[static_cast<int>(c_.type)]({x_.data(), x_stride_, c_.rows, c_.k,
                                                 static_cast<int>(width_), segments_.data(),
                                                 static_cast<int>(segments_.size()), out});
    return out;
  }

  int input_bytes() const { return kernels_.input_bytes[static_cast<int>(c_.type)]; }

  double input(const Operand& x, int r, int k) const {
    const std::byte* row = x.data + r * x.stride;
    if (input_bytes() == 4) return reinterpret_cast<const float*>(row)[k];
    if (c_.type == WeightType::bf16) {
      uint16_t half;
      std::memcpy(&half, row + 2 * k, 2);
      return from_bf16(half);
    }
    constexpr int kOrder[] = {0, 2, 1, 3};  // of words
    const int number = input_bytes() == 2
                           ? reinterpret_cast<const int16_t*>(row)[k / 4 * 4 + kOrder[k % 4]]
                           : reinterpret_cast<const int8_t*>(row)[k];
    return double(number) * x.scales[r * x.scales_stride + k / 256];
  }

  double expected(const Operand& x, int r, int64_t o, double bias) const {
    const int64_t p = o / 16;
    double sum = bias;
    for (const Segment& s : segments_) {
      for (int k = s.x_offset; k < s.x_offset + s.k; ++k) {
        sum += input(x, r, k) * decoded(c_.type, weights_.data() + p * stride_, k,
                                        static_cast<int>(o % 16), scales_.data() + p * 16);
      }
    }
    switch (c_.epilogue) {
      case Epilogue::store:
        return sum;
      case Epilogue::add:
        return sum + 0.25;
      case Epilogue::gelu_tanh:
        return plain::activate(Activation::gelu_tanh, sum);
      case Epilogue::gelu_erf:
        return plain::activate(Activation::gelu_erf, sum);
      case Epilogue::relu:
        return plain::activate(Activation::relu, sum);
    }
    return 0;
  }

  const KernelTable& kernels_;
  const Case c_;
  int panels_ = 0;
  int64_t stride_ = 0, x_stride_ = 0, width_ = 0;
  AlignedBuffer weights_, operand_;
  std::vector<float> scales_, x_, input_scales_;
  std::vector<int32_t> block_sums_, sums_;
  std::vector<Segment> segments_;
  std::vector<int32_t> list_;
};

// Many rows multiply int4 panels rounded to int8: that adds a 16th of int4's own error.
double tolerance(const std::string& isa, WeightType type, int rows) {
  const bool expands = isa == "amx" || (isa == "avx512" && detect_cpu_features().avx512_vnni);
  return expands && type == WeightType::int4 && rows > 16 ? 0.06 : 2e-5;
}

// x86/avx512/quick.h
double relative_tolerance(const std::string& isa, WeightType type, Epilogue epilogue) {
  const bool quick = (isa == "avx512" || isa == "amx") && type != WeightType::f32;
  return quick && epilogue == Epilogue::gelu_tanh ? 2e-4 : 0;
}

class Linear : public testing::TestWithParam<std::tuple<std::string, WeightType>> {};

TEST_P(Linear, EqualsDoubleSumsOnRandomShapes) {
  const auto [isa, type] = GetParam();
  const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
  Rng rng(7);
  const int all_rows[] = {1, 2, 3, 4, 5, 8, 12, 15, 16, 17, 31, 33, 63};
  const int all_outputs[] = {1, 15, 16, 17, 32, 63, 100};
  const Epilogue epilogues[] = {Epilogue::store, Epilogue::add, Epilogue::gelu_tanh,
                                Epilogue::gelu_erf, Epilogue::relu};
  for (const int rows : all_rows) {
    for (const int n_out : all_outputs) {
      const int k = 64 * (1 + static_cast<int>(rng.below(20)));
      const Case c{type, rows, k, n_out, rng.uniform() < 0.5, epilogues[rng.below(5)]};
      EXPECT_LT(Product(kernels, c, rng).worst_error(relative_tolerance(isa, type, c.epilogue)),
                tolerance(isa, type, rows))
          << "rows " << rows << " k " << k << " outputs " << n_out << " skip " << c.skip
          << " epilogue " << static_cast<int>(c.epilogue);
    }
  }
}

TEST_P(Linear, AWindowsRowsAreBitForBitThoseOfSingleRows) {
  const auto [isa, type] = GetParam();
  const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
  Rng rng(9);
  for (int rows = 1; rows <= 16; ++rows) {
    for (const Epilogue epilogue : {Epilogue::store, Epilogue::add, Epilogue::gelu_tanh,
                                    Epilogue::gelu_erf, Epilogue::relu}) {
      const int k = 64 * (1 + static_cast<int>(rng.below(24)));
      const int n_out = 1 + static_cast<int>(rng.below(70));
      const Case c{type, rows, k, n_out, rng.uniform() < 0.5, epilogue};
      EXPECT_TRUE(Product(kernels, c, rng).rows_are_independent(true))
          << "rows " << rows << " k " << k << " outputs " << n_out << " skip " << c.skip
          << " epilogue " << static_cast<int>(epilogue);
    }
  }
}

TEST_P(Linear, ALongKKeepsItsPrecision) {
  const auto [isa, type] = GetParam();
  const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
  Rng rng(8);
  for (const bool skip : {false, true}) {
    for (const int rows : {1, 6, 40}) {
      const Case c{type, rows, 4096, 33, skip, Epilogue::gelu_tanh};
      EXPECT_LT(Product(kernels, c, rng).worst_error(relative_tolerance(isa, type, c.epilogue)),
                tolerance(isa, type, rows))
          << "rows " << rows << " skip " << skip;
    }
  }
}

TEST_P(Linear, HeadsOfAnyWidthMayFillAPiece) {
  const auto [isa, type] = GetParam();
  const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
  Rng rng(10);
  for (const int run : {32, 64, 96, 160, 224}) {
    for (const int rows : {1, 7, 17, 40}) {
      const Case c{type, rows, 4096, 33, false, Epilogue::store, run};
      EXPECT_LT(Product(kernels, c, rng).worst_error(), tolerance(isa, type, rows))
          << "rows " << rows << ", heads of " << run;
    }
  }
  const Case many_panels{type, 1, 512, 16 * 70 + 5, false, Epilogue::add, 64};
  EXPECT_LT(Product(kernels, many_panels, rng).worst_error(), tolerance(isa, type, 1));
}

TEST_P(Linear, NothingLeftGivesTheBias) {
  const auto [isa, type] = GetParam();
  const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
  for (const int rows : {1, 20}) {
    std::vector<float> y(rows * 16, 3), bias(16, 0.5F), x(rows * 64);
    AlignedBuffer weights(4096 + 1024), operand((rows + 32) * 256);
    std::vector<float> scales(1024, 1);
    std::vector<int32_t> sums(1024);
    LinearArgs args{};
    args.weights = weights.data();
    args.panel_stride = 4096;
    args.weight_scales = scales.data();
    args.x = {operand.data(), 256, scales.data(), 1, sums.data(), sums.data(), 4};
    args.rows = rows;
    args.y = y.data();
    args.y_stride = 16;
    args.n_out = 16;
    args.bias = bias.data();
    kernels.linear[static_cast<int>(type)](args, 0, 1);
    for (float v : y) EXPECT_EQ(v, 0.5F);
  }
}

// Sums of integers. On tiles int6 goes through K in pieces of 1024 inputs, whose floats are added
// in another order (docs/quantisation.md).
TEST(LinearIntegers, ARowHasTheSameBitsBesideAnyOthers) {
  Rng rng(11);
  for (const std::string& isa : available_isas(detect_cpu_features())) {
    const KernelTable kernels = select_kernels(detect_cpu_features(), isa);
    for (const WeightType type : {WeightType::int8, WeightType::int6}) {
      const uint64_t steps = isa == "amx" && type == WeightType::int6 ? 16 : 48;
      for (const int rows : {2, 5, 16, 17, 24, 25, 33, 63}) {
        const int k = 64 * (1 + static_cast<int>(rng.below(steps)));
        const int n_out = 1 + static_cast<int>(rng.below(70));
        const Case c{type, rows, k, n_out, rng.uniform() < 0.5, Epilogue::store};
        EXPECT_TRUE(Product(kernels, c, rng).rows_are_independent(false))
            << isa << " type " << static_cast<int>(type) << " rows " << rows << " k " << k
            << " outputs " << n_out << " skip " << c.skip;
      }
    }
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<std::string, WeightType>>& param) {
  static const char* const kTypes[] = {"f32", "bf16", "int8", "int6", "int4"};
  return std::get<0>(param.param) + "_" + kTypes[static_cast<int>(std::get<1>(param.param))];
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, Linear,
                         testing::Combine(testing::ValuesIn(available_isas(detect_cpu_features())),
                                          testing::Values(WeightType::f32, WeightType::bf16,
                                                          WeightType::int8, WeightType::int6,
                                                          WeightType::int4)),
                         name_of);

}  // namespace
}  // namespace sentinel
