// An opened model folder: checked configuration, memory-mapped tensors, where the rest lies.
#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/weight_views.h"
#include "sentinel/error.h"

namespace sentinel {

struct CheckpointTensor {
  std::string name;  // without the "transformer." prefix
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;
  size_t bytes = 0;
  std::string file;        // that holds it; empty for a model in memory
  bool is_scales = false;  // of an int8 tensor
};

class Checkpoint {
 public:
  // `model`: a folder, a file inside one (model.safetensors or config.json), or a hub name
  // ("gpt2", "openai-community/gpt2") that is looked up in the local Hugging Face cache.
  // Strict: every tensor used once, shapes checked, unknown family refused. Error (bad_input).
  static std::shared_ptr<const Checkpoint> open(const std::string& model);
  virtual ~Checkpoint() = default;

  virtual const std::filesystem::path& folder() const = 0;
  virtual const ModelConfig& config() const = 0;
  virtual const nlohmann::json& raw_config() const = 0;  // config.json as it stands
  virtual const ModelView& view() const = 0;
  virtual const std::vector<CheckpointTensor>& tensors() const = 0;  // in file order
  virtual int64_t parameter_count() const = 0;                       // tied lm_head counted once
  virtual const std::string& origin() const = 0;  // "folder X" or "hub cache: name -> X"

  // Whether these bytes of tensors lie in a file, so that read() can copy them from there: a fault
  // of its mapping takes longer, and leaves 64 KB around it in resident memory.
  virtual bool in_a_file(std::span<const std::byte> stored) const;
  // Copies them, from there if they do. Error (runtime) when the file has been cut short meanwhile.
  virtual void read(std::span<const std::byte> stored, std::byte* out) const;
  // Row `row` [n_in] of a matrix of view(), as floats; from its file, if it lies in one.
  void read_row(const MatrixView& matrix, int64_t row, float* out) const;
  // Lets these tensors' pages leave resident memory (they stay in the page cache).
  virtual void release_pages() const = 0;

  // The error (bad_input) for a tensor that holds NaN or infinity, naming its file.
  Error not_finite(const std::string& tensor) const;
};

}  // namespace sentinel
