#include "model/checkpoint/tensor_table.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace sentinel {
namespace {

std::optional<DType> weight_dtype(std::string_view dtype) {
  if (dtype == "F32") return DType::f32;
  if (dtype == "F16") return DType::f16;
  if (dtype == "BF16") return DType::bf16;
  if (dtype == "I8") return DType::int8;
  return std::nullopt;
}

}  // namespace

void TensorTable::add(std::vector<SafetensorsEntry> entries, const std::string& file) {
  if (files_.empty()) files_ = file;
  for (SafetensorsEntry& entry : entries) {
    std::string name = entry.name;
    if (name.starts_with(prefix_)) name.erase(0, prefix_.size());
    Slot slot{.entry = std::move(entry), .file = file, .order = tensors_.size()};
    const auto [it, is_new] = tensors_.try_emplace(name, std::move(slot));
    if (!is_new) {
      throw bad_input("{}: tensor \"{}\" stands twice (also in {})", file, printable(name),
                      it->second.file);
    }
  }
}

const TensorTable::Slot& TensorTable::take(const std::string& name,
                                           const std::vector<int64_t>& shape) {
  const auto it = tensors_.find(name);
  if (it == tensors_.end()) {
    throw bad_input("{}: tensor \"{}\" is missing; the file does not fit its config.json", files_,
                    name);
  }
  Slot& slot = it->second;
  if (slot.entry.shape != shape) {
    throw bad_input("{}: tensor \"{}\" has shape [{}], expected [{}] from config.json", slot.file,
                    name, fmt::join(slot.entry.shape, ", "), fmt::join(shape, ", "));
  }
  const bool is_vector = shape.size() == 1;
  if (!weight_dtype(slot.entry.dtype) || (is_vector && slot.entry.dtype == "I8")) {
    throw bad_input("{}: tensor \"{}\" has type {}, expected F32, F16 or BF16{}", slot.file, name,
                    slot.entry.dtype, is_vector ? "" : ", or I8 with scales");
  }
  slot.use = Slot::Use::weight;
  return slot;
}

MatrixView TensorTable::matrix(const std::string& name, int64_t rows, int64_t cols) {
  const Slot& slot = take(name, {rows, cols});
  MatrixView view{.data = slot.entry.data,
                  .dtype = *weight_dtype(slot.entry.dtype),
                  .n_out = rows,
                  .n_in = cols,
                  .out_stride = cols,
                  .in_stride = 1,
                  .name = name};
  if (view.dtype == DType::int8) take_scales(slot, view);
  return view;
}

// NAME_scale, a number for each row, [rows, 1], or for each column, [1, cols].
void TensorTable::take_scales(const Slot& slot, MatrixView& view) {
  const auto it = tensors_.find(view.name + "_scale");
  const std::vector<int64_t> by_row = {view.n_out, 1}, by_column = {1, view.n_in};
  const bool fits = it != tensors_.end() && it->second.entry.dtype == "F32" &&
                    (it->second.entry.shape == by_row || it->second.entry.shape == by_column);
  if (!fits) {
    throw bad_input(
        "{}: tensor \"{}\" has type I8, but \"{}_scale\" is not F32 of shape [{}, 1] or [1, {}]",
        slot.file, view.name, view.name, view.n_out, view.n_in);
  }
  it->second.use = Slot::Use::scales;
  const SafetensorsEntry& entry = it->second.entry;
  std::vector<float>& scales = scales_.emplace_back(entry.bytes / sizeof(float));
  if (entry.bytes > 0) std::memcpy(scales.data(), entry.data, entry.bytes);
  for (const float scale : scales) {
    if (!(scale >= 0) || std::isinf(scale * 128)) {
      throw bad_input("{}: tensor \"{}_scale\" holds {}, expected 0 to 2e36", it->second.file,
                      view.name, scale);
    }
  }
  view.scales = scales.data();
  (entry.shape == by_row ? view.scale_out_stride : view.scale_in_stride) = 1;
}

VectorView TensorTable::vector(const std::string& name, int64_t n) {
  const Slot& slot = take(name, {n});
  return {.data = slot.entry.data, .dtype = *weight_dtype(slot.entry.dtype), .n = n, .name = name};
}

void TensorTable::require_copy(const std::string& copy, const std::string& original,
                               std::string_view remedy) {
  Slot& a = tensors_.at(copy);
  const Slot& b = tensors_.at(original);
  const bool equal = a.entry.dtype == b.entry.dtype && a.entry.shape == b.entry.shape &&
                     a.entry.bytes == b.entry.bytes && same_bytes(a.entry, b.entry);
  if (!equal) {
    throw bad_input("{}: tensor \"{}\" differs from \"{}\" though the configuration ties them; {}",
                    a.file, copy, original, remedy);
  }
  a.use = Slot::Use::copy;
  if (a.entry.dtype == "I8") {
    const auto scales = tensors_.find(copy + "_scale");
    if (scales != tensors_.end()) require_copy(scales->first, original + "_scale", remedy);
  }
}

bool TensorTable::same_bytes(const SafetensorsEntry& a, const SafetensorsEntry& b) const {
  if (a.data == b.data) return true;
  constexpr size_t kBlock = size_t{8} << 20;
  for (size_t at = 0; at < a.bytes; at += kBlock) {
    if (std::memcmp(a.data + at, b.data + at, std::min(kBlock, a.bytes - at)) != 0) return false;
    if (release_pages_) release_pages_();
  }
  return true;
}

void TensorTable::require_all_used(bool (*is_ignored)(std::string_view)) const {
  for (const auto& [name, slot] : tensors_) {
    if (slot.use == Slot::Use::none && !is_ignored(name)) {
      throw bad_input("{}: tensor \"{}\" has no place in a model of this config.json", slot.file,
                      printable(slot.entry.name));
    }
  }
}

std::vector<CheckpointTensor> TensorTable::used() const {
  std::vector<std::pair<size_t, CheckpointTensor>> ordered;
  for (const auto& [name, slot] : tensors_) {
    if (slot.use != Slot::Use::weight && slot.use != Slot::Use::scales) continue;
    ordered.emplace_back(slot.order, CheckpointTensor{.name = name,
                                                      .dtype = *weight_dtype(slot.entry.dtype),
                                                      .shape = slot.entry.shape,
                                                      .data = slot.entry.data,
                                                      .bytes = slot.entry.bytes,
                                                      .file = slot.file,
                                                      .is_scales = slot.use == Slot::Use::scales});
  }
  std::sort(ordered.begin(), ordered.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<CheckpointTensor> tensors;
  tensors.reserve(ordered.size());
  for (auto& [order, tensor] : ordered) tensors.push_back(std::move(tensor));
  return tensors;
}

int64_t count_parameters(const std::vector<CheckpointTensor>& tensors) {
  int64_t count = 0;
  for (const CheckpointTensor& tensor : tensors) {
    if (!tensor.is_scales) count += static_cast<int64_t>(tensor.bytes / size_of(tensor.dtype));
  }
  return count;
}

}  // namespace sentinel
