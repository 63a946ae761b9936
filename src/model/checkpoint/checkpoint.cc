#include "model/checkpoint/checkpoint.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "base/mapped_file.h"
#include "model/checkpoint/hf_config.h"
#include "model/checkpoint/model_location.h"
#include "model/checkpoint/shard_index.h"
#include "model/checkpoint/tensor_table.h"

namespace sentinel {
namespace {
using nlohmann::json;

constexpr size_t kMaxConfigBytes = size_t{16} << 20;

class MappedCheckpoint : public Checkpoint {
 public:
  explicit MappedCheckpoint(ModelLocation location) : location_(std::move(location)) {
    raw_config_ = read_json(location_.config, kMaxConfigBytes);
    const Family& family = find_family(raw_config_, location_.config.string());
    config_ = family.parse_config(raw_config_, location_.config.string());
    TensorTable table(family.name_prefix, [this] { release_pages(); });
    map_weights(table);
    view_ = family.build_view(config_, table);
    table.require_all_used(family.is_ignored);
    tensors_ = table.used();
    scales_ = table.take_scales();
    parameter_count_ = count_parameters(tensors_);
  }

  const std::filesystem::path& folder() const override { return location_.folder; }
  const ModelConfig& config() const override { return config_; }
  const json& raw_config() const override { return raw_config_; }
  const ModelView& view() const override { return view_; }
  const std::vector<CheckpointTensor>& tensors() const override { return tensors_; }
  int64_t parameter_count() const override { return parameter_count_; }
  const std::string& origin() const override { return location_.origin; }
  void release_pages() const override {
    for (const auto& file : files_) file.release(file.bytes());
  }
  bool in_a_file(std::span<const std::byte> stored) const override {
    return file_of(stored) != nullptr;
  }
  void read(std::span<const std::byte> stored, std::byte* out) const override {
    const MappedFile* file = file_of(stored);
    file ? file->read(stored, out) : Checkpoint::read(stored, out);
  }

 private:
  const MappedFile* file_of(std::span<const std::byte> stored) const {
    const auto file = std::find_if(files_.begin(), files_.end(),
                                   [&](const MappedFile& f) { return f.holds(stored); });
    return file == files_.end() ? nullptr : &*file;
  }

  void map_weights(TensorTable& table) {
    ShardIndex index;
    if (!location_.index.empty()) index = ShardIndex::read(location_.index);
    for (const auto& path : location_.weights) {
      const MappedFile& file = files_.emplace_back(path);
      auto entries = parse_safetensors(file.bytes(), path.string());
      if (!location_.index.empty()) index.check(path.filename().string(), entries);
      table.add(std::move(entries), path.string());
    }
  }

  ModelLocation location_;
  json raw_config_;
  ModelConfig config_;
  std::vector<MappedFile> files_;
  ModelView view_;
  std::vector<CheckpointTensor> tensors_;
  Int8Scales scales_;
  int64_t parameter_count_ = 0;
};

}  // namespace

bool Checkpoint::in_a_file(std::span<const std::byte>) const { return false; }

void Checkpoint::read(std::span<const std::byte> stored, std::byte* out) const {
  std::copy(stored.begin(), stored.end(), out);
}

void Checkpoint::read_row(const MatrixView& matrix, int64_t row, float* out) const {
  const auto element = static_cast<int64_t>(size_of(matrix.dtype));
  const std::byte* begin = matrix.data + row * matrix.out_stride * element;
  if (matrix.in_stride != 1 || !in_a_file({begin, static_cast<size_t>(matrix.n_in * element)})) {
    load_row(matrix, row, out);
    return;
  }
  std::array<std::byte, 4096> buffer;
  const int64_t most = std::ssize(buffer) / element;
  for (int64_t i = 0; i < matrix.n_in; i += most) {
    const int64_t n = std::min(most, matrix.n_in - i);
    read({begin + i * element, static_cast<size_t>(n * element)}, buffer.data());
    load_elements(buffer.data(), matrix.dtype, 1, n, out + i);
  }
  scale_row(matrix, row, matrix.n_in, out);
}

Error Checkpoint::not_finite(const std::string& tensor) const {
  const auto found = std::find_if(tensors().begin(), tensors().end(),
                                  [&](const CheckpointTensor& t) { return t.name == tensor; });
  const bool in_file = found != tensors().end() && !found->file.empty();
  return bad_input(
      "{}: tensor \"{}\" holds NaN or infinity; the checkpoint is damaged, get it again",
      in_file ? found->file : origin(), tensor);
}

std::shared_ptr<const Checkpoint> Checkpoint::open(const std::string& model) {
  return std::make_shared<MappedCheckpoint>(locate_model(model, HubEnvironment::from_process()));
}

}  // namespace sentinel
