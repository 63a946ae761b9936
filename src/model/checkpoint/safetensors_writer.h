// Streams tensors into one safetensors file.
#pragma once

#include <filesystem>
#include <span>

#include "model/checkpoint/writer.h"

namespace sentinel {

// Number of bytes of a tensor. Error (usage) if its shape is negative or too large.
size_t byte_count(const OutputTensor& tensor);

// Creates `path` and flushes it to disk. Error (runtime) if it exists or cannot be written, or if a
// producer gives another number of elements than the shape says.
void write_safetensors(const std::filesystem::path& path, std::span<const OutputTensor> tensors);

}  // namespace sentinel
