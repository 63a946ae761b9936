// All tensors of a checkpoint's files by name, with a note of which have been used.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "model/checkpoint/checkpoint.h"
#include "model/checkpoint/safetensors.h"
#include "model/families/family.h"

namespace sentinel {

// The scales of one matrix each.
using Int8Scales = std::deque<std::vector<float>>;

class TensorTable : public TensorSource {
 public:
  // `name_prefix` is taken off every name that has it.
  // `release_pages`: called while much is read, so that little stays in memory; may be null.
  explicit TensorTable(std::string_view name_prefix, std::function<void()> release_pages = nullptr)
      : prefix_(name_prefix), release_pages_(std::move(release_pages)) {}

  // Error (bad_input) when a name is there already (with or without prefix).
  void add(std::vector<SafetensorsEntry> entries, const std::string& file);

  bool contains(const std::string& name) const override { return tensors_.contains(name); }
  MatrixView matrix(const std::string& name, int64_t rows, int64_t cols) override;
  VectorView vector(const std::string& name, int64_t n) override;
  void require_copy(const std::string& copy, const std::string& original,
                    std::string_view remedy) override;

  // Error (bad_input) naming a tensor that nobody used and that is not to be ignored.
  void require_all_used(bool (*is_ignored)(std::string_view)) const;
  // The tensors handed out, in file order.
  std::vector<CheckpointTensor> used() const;
  // What the scales of int8 matrices that were handed out point to.
  Int8Scales take_scales() { return std::move(scales_); }

 private:
  struct Slot {
    SafetensorsEntry entry;
    std::string file;
    size_t order = 0;
    enum class Use { none, weight, scales, copy } use = Use::none;
  };
  bool same_bytes(const SafetensorsEntry& a, const SafetensorsEntry& b) const;
  const Slot& take(const std::string& name, const std::vector<int64_t>& shape);
  void take_scales(const Slot& slot, MatrixView& view);

  std::string prefix_;
  std::function<void()> release_pages_;
  std::string files_;  // for messages
  std::map<std::string, Slot> tensors_;
  Int8Scales scales_;
};

// The weights among them, without scales.
int64_t count_parameters(const std::vector<CheckpointTensor>& tensors);

}  // namespace sentinel
