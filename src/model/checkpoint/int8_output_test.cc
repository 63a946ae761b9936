#include "model/checkpoint/int8_output.h"

#include <cmath>
#include <cstring>

#include "base/rng.h"
#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/checkpoint_test_util.h"
#include "model/checkpoint/edited_checkpoint.h"
#include "model/checkpoint/memory_checkpoint.h"
#include "model/checkpoint/model_output.h"
#include "model/model.h"

namespace sentinel {
namespace {

using test::expect_error;

class Collector : public TensorSink {
 public:
  void put(std::span<const float> values) override {
    all.insert(all.end(), values.begin(), values.end());
  }
  void put_bytes(std::span<const std::byte>) override { ADD_FAILURE(); }
  std::vector<float> all;
};

// Column 1 is zero, column 2 a thousand times as large as others.
std::vector<float> values_of(int64_t rows, int64_t columns) {
  Rng rng(7);
  std::vector<float> values;
  for (int64_t i = 0; i < rows * columns; ++i) {
    const double by = i % columns == 1 ? 0 : i % columns == 2 ? 1000 : 1;
    values.push_back(static_cast<float>(by * rng.normal()));
  }
  return values;
}

// In pieces of five, which end anywhere in a row.
OutputTensor tensor_of(const std::vector<float>& values, int64_t rows, int64_t columns) {
  return {"w", DType::int8, {rows, columns}, [&values](TensorSink& sink) {
            for (size_t i = 0; i < values.size(); i += 5) {
              sink.put(std::span(values).subspan(i, std::min<size_t>(5, values.size() - i)));
            }
          }};
}

TEST(Int8Output, NumbersTimesScalesAreTheWeightsToHalfAStep) {
  constexpr int64_t kRows = 7, kColumns = 13;
  const std::vector<float> values = values_of(kRows, kColumns);
  for (const size_t axis : {0, 1}) {
    std::vector<OutputTensor> out;
    add_int8(tensor_of(values, kRows, kColumns), axis, out);
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[1].name, "w_scale");
    EXPECT_EQ(out[1].shape,
              (axis == 0 ? std::vector<int64_t>{kRows, 1} : std::vector<int64_t>{1, kColumns}));
    Collector numbers, scales;
    out[0].produce(numbers);
    out[1].produce(scales);
    std::vector<float> rounded = values;
    round_to_int8(rounded, kColumns, axis, "w");
    for (int64_t i = 0; i < kRows * kColumns; ++i) {
      const float scale = scales.all[axis == 0 ? i / kColumns : i % kColumns];
      const float stored = std::nearbyint(numbers.all[i]) * scale;
      EXPECT_LE(std::fabs(numbers.all[i]), 127.001F);
      EXPECT_NEAR(stored, values[i], scale * 0.501F) << i;
      EXPECT_EQ(rounded[i], stored) << i;
    }
  }
}

TEST(Int8Output, NaNIsRefused) {
  std::vector<float> values(6, 1.0F);
  values[4] = NAN;
  std::vector<OutputTensor> out;
  add_int8(tensor_of(values, 2, 3), 1, out);
  Collector numbers;
  expect_error(ErrorKind::runtime, {"w: holds NaN"}, [&] { out[0].produce(numbers); });
}

std::shared_ptr<const Checkpoint> mini() {
  return Checkpoint::open(SENTINEL_SOURCE_DIR "/models/sentinel-mini");
}

std::vector<float> logits(const std::shared_ptr<const Checkpoint>& checkpoint, WeightType type) {
  ModelOptions options;
  options.level = 2;
  options.weights = options.lm_head = type;
  const auto model = Model::create(checkpoint, options);
  std::vector<int32_t> tokens(40);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 97 % 4096);
  std::vector<float> out(static_cast<size_t>(checkpoint->config().vocab_size));
  model->new_session(1, 40)->prefill(0, tokens, out.data());
  return out;
}

using Int8Checkpoint = test::FolderTest;

TEST_F(Int8Checkpoint, Int8LevelsHaveTheSameBitsAsFromTheFloats) {
  const auto floats = mini();
  save_model(folder_ / "int8", *floats, {.dtype = DType::int8});
  const auto stored = Checkpoint::open((folder_ / "int8").string());
  EXPECT_EQ(stored->view().token_embedding.dtype, DType::int8);
  EXPECT_EQ(stored->parameter_count(), floats->parameter_count());
  EXPECT_EQ(logits(stored, WeightType::int8), logits(floats, WeightType::int8));
  // The others see what the numbers stand for, as a rounded copy does.
  auto rounded = std::make_shared<EditableModel>(floats);
  rounded->round_to(DType::int8);
  const auto copy = as_checkpoint(rounded);
  for (const WeightType type : {WeightType::f32, WeightType::bf16, WeightType::int4}) {
    EXPECT_EQ(logits(stored, type), logits(copy, type)) << to_string(type);
  }
}

TEST_F(Int8Checkpoint, IsSavedAsItIsOrAsFloats) {
  save_model(folder_ / "a", *mini(), {.dtype = DType::int8});
  const auto stored = Checkpoint::open((folder_ / "a").string());
  EXPECT_TRUE(stored->raw_config().contains("quantization_config"));
  save_model(folder_ / "b", *stored, {});
  save_model(folder_ / "c", *stored, {.dtype = DType::f32});
  const auto again = Checkpoint::open((folder_ / "b").string());
  const auto floats = Checkpoint::open((folder_ / "c").string());
  EXPECT_FALSE(floats->raw_config().contains("quantization_config"));
  const MatrixView a = stored->view().layers[1].heads[2].o, b = again->view().layers[1].heads[2].o;
  const MatrixView c = floats->view().layers[1].heads[2].o;
  for (int64_t o = 0; o < a.n_out; ++o) {
    for (int64_t i = 0; i < a.n_in; ++i) {
      ASSERT_NEAR(b.at(o, i), a.at(o, i), 1e-6 * std::fabs(a.at(o, i)));
      ASSERT_EQ(c.at(o, i), a.at(o, i));
    }
  }
  expect_error(ErrorKind::usage, {"padded"},
               [&] { save_model(folder_ / "d", *mini(), {.dtype = DType::int8, .padded = true}); });
}

TEST_F(Int8Checkpoint, BrokenScalesAreNamed) {
  const auto broken = [&](const char* part, const std::function<void(test::TestTensors&)>& edit) {
    test::TestTensors tensors = test::tiny_tensors();
    tensors["wte.weight"] = {{5, 4}, "I8", std::string(20, '\3')};
    tensors["wte.weight_scale"] = test::ramp({5, 1}, 1);
    edit(tensors);
    test::write_model(folder_, test::tiny_config(), tensors);
    if (!part) {
      EXPECT_EQ(Checkpoint::open(folder_.string())->view().token_embedding.at(2, 1), 9.0F);
      return;
    }
    expect_error(ErrorKind::bad_input, {"model.safetensors", "wte.weight", part},
                 [&] { Checkpoint::open(folder_.string()); });
  };
  broken(nullptr, [](auto&) {});
  broken("[5, 1] or [1, 4]", [](auto& t) { t.erase("wte.weight_scale"); });
  broken("[5, 1] or [1, 4]", [](auto& t) { t["wte.weight_scale"].shape = {1, 5}; });
  broken("[5, 1] or [1, 4]", [](auto& t) { t["wte.weight_scale"].dtype = "I32"; });
  broken("holds 3e+38", [](auto& t) { t["wte.weight_scale"] = test::ramp({5, 1}, 3e38F); });
  broken("holds -3", [](auto& t) { t["wte.weight_scale"] = test::ramp({5, 1}, -3); });
  broken("no place", [](auto& t) { t["wte.weight"] = test::ramp({5, 4}, 0); });
  test::TestTensors tensors = test::tiny_tensors();
  tensors["ln_f.bias"] = {{4}, "I8", std::string(4, '\1')};
  test::write_model(folder_, test::tiny_config(), tensors);
  expect_error(ErrorKind::bad_input, {"ln_f.bias", "I8"},
               [&] { Checkpoint::open(folder_.string()); });
}

// [1, n] scales of a matrix whose rows are the outputs, and the other way round.
TEST(Int8Views, ScalesFollowEveryCutAndTurn) {
  const int8_t numbers[6] = {1, -2, 3, -4, 5, -6};
  const float scales[3] = {10, 100, 1000};
  MatrixView view{reinterpret_cast<const std::byte*>(numbers), DType::int8, 2, 3, 3, 1, "w"};
  view.scales = scales;
  view.scale_in_stride = 1;
  EXPECT_EQ(view.at(1, 2), -6000);
  EXPECT_EQ(view.transposed().at(2, 1), -6000);
  EXPECT_EQ(view.inputs(1, 2).at(1, 0), 500);
  EXPECT_EQ(view.transposed().outputs(1, 1).at(0, 1), 500);
  EXPECT_EQ(view.outputs(1, 1).at(0, 0), -40);
  float row[3];
  load_row(view, 1, row);
  EXPECT_EQ(row[1], 500);
  load_row(view.transposed().outputs(2, 1), 0, row);
  EXPECT_EQ(row[0], 3000);
  EXPECT_EQ(row[1], -6000);
}

}  // namespace
}  // namespace sentinel
