#include "model/checkpoint/memory_checkpoint.h"

#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "model/checkpoint/hf_config.h"
#include "model/checkpoint/tensor_table.h"

namespace sentinel {
namespace {

constexpr const char* kWhere = "state dict";

size_t checked_bytes(const SafetensorsEntry& entry) {
  size_t count = entry.dtype == "F32" ? 4 : entry.dtype == "F16" || entry.dtype == "BF16" ? 2 : 1;
  for (const int64_t dim : entry.shape) {
    const auto limit = static_cast<size_t>(std::numeric_limits<int64_t>::max());
    if (dim < 0 || (dim > 0 && count > limit / static_cast<size_t>(dim))) {
      throw bad_input("{}: tensor \"{}\" has an impossible shape", kWhere, printable(entry.name));
    }
    count *= static_cast<size_t>(dim);
  }
  if (count > 0 && entry.data == nullptr) {
    throw bad_input("{}: tensor \"{}\" has no data", kWhere, printable(entry.name));
  }
  return count;
}

class MemoryCheckpoint : public Checkpoint {
 public:
  explicit MemoryCheckpoint(MemoryCheckpointSource source)
      : owner_(std::move(source.owner)), folder_(std::move(source.tokenizer)), origin_(kWhere) {
    raw_config_ = parse_json(source.config_json, "configuration");
    const Family& family = find_family(raw_config_, "configuration");
    config_ = family.parse_config(raw_config_, "configuration");
    for (SafetensorsEntry& entry : source.tensors) entry.bytes = checked_bytes(entry);
    TensorTable table(family.name_prefix);
    table.add(std::move(source.tensors), kWhere);
    view_ = family.build_view(config_, table);
    table.require_all_used(family.is_ignored);
    tensors_ = table.used();
    scales_ = table.take_scales();
    parameter_count_ = count_parameters(tensors_);
  }

  const std::filesystem::path& folder() const override { return folder_; }
  const ModelConfig& config() const override { return config_; }
  const nlohmann::json& raw_config() const override { return raw_config_; }
  const ModelView& view() const override { return view_; }
  const std::vector<CheckpointTensor>& tensors() const override { return tensors_; }
  int64_t parameter_count() const override { return parameter_count_; }
  const std::string& origin() const override { return origin_; }
  void release_pages() const override {}

 private:
  std::shared_ptr<const void> owner_;
  std::filesystem::path folder_;
  std::string origin_;
  nlohmann::json raw_config_;
  ModelConfig config_;
  ModelView view_;
  std::vector<CheckpointTensor> tensors_;
  Int8Scales scales_;
  int64_t parameter_count_ = 0;
};

}  // namespace

std::shared_ptr<const Checkpoint> open_memory_checkpoint(MemoryCheckpointSource source) {
  return std::make_shared<MemoryCheckpoint>(std::move(source));
}

}  // namespace sentinel
