#include "model/checkpoint/int8_output.h"

#include <algorithm>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include "base/error.h"

namespace sentinel {
namespace {

using Scales = std::vector<Int8Scale>;

// Walks a matrix in pieces of any size and knows which output an element belongs to.
class Outputs {
 public:
  Outputs(int64_t columns, size_t output_axis) : columns_(columns), by_row_(output_axis == 0) {}

  template <typename Visit>
  void walk(std::span<const float> values, const Visit& visit) {
    for (const float value : values) {
      visit(static_cast<size_t>(by_row_ ? row_ : column_), value);
      if (++column_ == columns_) {
        column_ = 0;
        ++row_;
      }
    }
  }

 private:
  const int64_t columns_;
  const bool by_row_;
  int64_t row_ = 0, column_ = 0;
};

// Of a producer that makes floats.
class FloatSink : public TensorSink {
  void put_bytes(std::span<const std::byte>) final { throw std::logic_error("not floats"); }
};

// Each output's largest magnitude.
class WidestSink : public FloatSink {
 public:
  WidestSink(Outputs outputs, size_t n) : outputs_(outputs), widest_(n, 0.0F) {}
  void put(std::span<const float> values) override {
    outputs_.walk(values, [&](size_t output, float value) {
      const float size = std::fabs(value);
      if (!(size <= widest_.at(output))) widest_[output] = size;  // NaN stays
    });
  }
  Scales scales(const std::string& name) const {
    if (!std::all_of(widest_.begin(), widest_.end(), [](float w) { return std::isfinite(w); })) {
      throw runtime_error("{}: holds NaN or infinity, which int8 cannot store", name);
    }
    return {widest_.begin(), widest_.end()};
  }

 private:
  Outputs outputs_;
  std::vector<float> widest_;
};

class NumberSink : public FloatSink {
 public:
  NumberSink(Outputs outputs, const Scales& scales, TensorSink& sink)
      : outputs_(outputs), scales_(scales), sink_(sink) {}
  void put(std::span<const float> values) override {
    numbers_.clear();
    outputs_.walk(values, [&](size_t output, float value) {
      numbers_.push_back(value * scales_.at(output).inverse);
    });
    sink_.put(numbers_);
  }

 private:
  Outputs outputs_;
  const Scales& scales_;
  TensorSink& sink_;
  std::vector<float> numbers_;
};

}  // namespace

void add_int8(OutputTensor matrix, size_t output_axis, std::vector<OutputTensor>& out) {
  const Outputs outputs(matrix.shape[1], output_axis);
  const int64_t n = matrix.shape[output_axis];
  const auto scales =
      std::make_shared<Scales>();  // made for the first tensor, stored by the second
  const auto numbers = [=, name = matrix.name, produce = matrix.produce](TensorSink& sink) {
    WidestSink widest(outputs, static_cast<size_t>(n));
    produce(widest);
    *scales = widest.scales(name);
    NumberSink rounding(outputs, *scales, sink);
    produce(rounding);
  };
  std::vector<int64_t> scale_shape = {1, 1};
  scale_shape[output_axis] = n;
  out.push_back({matrix.name, DType::int8, matrix.shape, numbers});
  out.push_back({matrix.name + "_scale", DType::f32, scale_shape, [scales](TensorSink& sink) {
                   for (const Int8Scale& of_output : *scales) sink.put({&of_output.scale, 1});
                 }});
}

void round_to_int8(std::vector<float>& values, int64_t columns, size_t output_axis,
                   const std::string& name) {
  if (values.empty()) return;
  const int64_t rows = std::ssize(values) / columns;
  const Outputs outputs(columns, output_axis);
  WidestSink widest(outputs, static_cast<size_t>(output_axis == 0 ? rows : columns));
  widest.put(values);
  const Scales scales = widest.scales(name);
  std::vector<float> rounded;
  rounded.reserve(values.size());
  Outputs(outputs).walk(values, [&](size_t output, float value) {
    const Int8Scale& of_output = scales[output];
    std::byte number;
    const float scaled = value * of_output.inverse;
    store_elements(&scaled, DType::int8, 1, &number);
    rounded.push_back(load_element(&number, DType::int8) * of_output.scale);
  });
  values = std::move(rounded);
}

}  // namespace sentinel
