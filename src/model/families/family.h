// What differs between model families: configuration keys, tensor names, storage order.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>

#include "model/checkpoint/writer.h"
#include "model/config.h"
#include "model/weight_views.h"

namespace sentinel {

// A checkpoint's tensors by name (without the family's prefix). Every tensor handed out is noted,
// so that the reader can report the ones that nobody asked for.
class TensorSource {
 public:
  virtual ~TensorSource() = default;
  virtual bool contains(const std::string& name) const = 0;
  // The stored matrix [rows, cols] in row-major order as a view with n_out = rows, n_in = cols.
  // Error (bad_input) naming tensor and file if it is missing or has another shape or type.
  virtual MatrixView matrix(const std::string& name, int64_t rows, int64_t cols) = 0;
  virtual VectorView vector(const std::string& name, int64_t n) = 0;  // the same for [n]
  // Checks that both tensors hold the same elements, and counts the first one as used but as no
  // tensor of its own. `remedy` ends the error message.
  virtual void require_copy(const std::string& copy, const std::string& original,
                            std::string_view remedy) = 0;
};

struct Family {
  std::string_view model_type;   // in config.json
  std::string_view name_prefix;  // that tensor names may have or not: "transformer."
  // Error (bad_input); `where` names the file in messages.
  ModelConfig (*parse_config)(const nlohmann::json& config, const std::string& where);
  ModelView (*build_view)(const ModelConfig& config, TensorSource& tensors);
  // Tensors that old files hold besides the weights, and that mean nothing.
  bool (*is_ignored)(std::string_view name);
  // The tensors of a checkpoint of the given `shape` (widths per layer), which holds at least the
  // heads and neurons that `config` and `view` have; what these lack becomes 0. They refer to the
  // view's data. int8: of the matrices, beside their scales; what else there is stays f32.
  std::vector<OutputTensor> (*output_tensors)(const ModelConfig& config, const ModelView& view,
                                              const ModelConfig& shape, DType dtype);
};

std::span<const Family> all_families();

}  // namespace sentinel
