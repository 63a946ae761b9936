// Writes a model folder that Sentinel and the Hugging Face libraries can read.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "model/weight_views.h"

namespace sentinel {

// Receives one tensor's elements in row-major order, in any number of pieces.
class TensorSink {
 public:
  virtual ~TensorSink() = default;
  // Converted to the tensor's type, rounded to nearest even. Error (runtime) naming the tensor for
  // a finite value that its type cannot hold, or for more elements than its shape has.
  virtual void put(std::span<const float> values) = 0;
  // Elements that are of the tensor's type already.
  virtual void put_bytes(std::span<const std::byte> bytes) = 0;
};

struct OutputTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;                // a 0 is allowed
  std::function<void(TensorSink&)> produce;  // called once, in the order of the list
};

// A tensor whose bytes lie in memory until the checkpoint is written.
OutputTensor tensor_from_bytes(std::string name, DType dtype, std::vector<int64_t> shape,
                               std::span<const std::byte> bytes);

struct CheckpointOutput {
  std::vector<OutputTensor> tensors;       // every name once
  const nlohmann::json* config = nullptr;  // becomes config.json
  std::filesystem::path tokenizer_source;  // folder to copy tokenizer files from; empty: none
  std::vector<std::pair<std::string, std::string>> extra_files;  // file name, bytes
  int shards = 1;  // more than 1: that many files and their index
};

// Makes `folder`, whole or not at all: everything goes into a temporary folder beside it, which is
// renamed at the end and removed on any exception (a producer may throw to interrupt). Only one
// piece of one tensor is held in memory. Error (usage) if `folder` exists or cannot be made,
// Error (runtime) if writing fails.
void write_checkpoint(const std::filesystem::path& folder, const CheckpointOutput& output);

}  // namespace sentinel
