#include "model/checkpoint/writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "model/checkpoint/safetensors_writer.h"

namespace sentinel {
namespace fs = std::filesystem;
namespace {
using nlohmann::json;

constexpr int kMaxShards = 1000;
constexpr const char* kTokenizerFiles[] = {
    "tokenizer.json",        "vocab.json",        "merges.txt",
    "tokenizer_config.json", "added_tokens.json", "special_tokens_map.json",
    "generation_config.json"};

// A folder that disappears unless it is renamed to its final place.
class TemporaryFolder {
 public:
  explicit TemporaryFolder(const fs::path& target) : target_(target) {
    const fs::path parent = target.has_parent_path() ? target.parent_path() : fs::path(".");
    ensure_writable_directory(parent);
    path_ = parent / fmt::format(".{}.tmp{}", target.filename().string(), getpid());
    std::error_code error;
    if (!fs::create_directory(path_, error)) {
      throw usage_error("{}: cannot make this folder: {}", path_.string(),
                        error ? error.message() : "it exists, remove it");
    }
  }
  ~TemporaryFolder() {
    std::error_code error;
    if (!path_.empty()) fs::remove_all(path_, error);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const fs::path& path() const { return path_; }

  // Puts the folder in its final place.
  void commit() {
    flush(path_);
    // Without RENAME_NOREPLACE an empty folder made meanwhile would be replaced; some file systems
    // do not know the flag.
    int result = renameat2(AT_FDCWD, path_.c_str(), AT_FDCWD, target_.c_str(), RENAME_NOREPLACE);
    if (result != 0 && (errno == EINVAL || errno == ENOSYS)) {
      result = rename(path_.c_str(), target_.c_str());
    }
    if (result != 0) {
      throw runtime_error("{}: cannot put the finished folder in place: {}", target_.string(),
                          std::strerror(errno));
    }
    path_.clear();
    flush(target_.has_parent_path() ? target_.parent_path() : fs::path("."));
  }

 private:
  static void flush(const fs::path& folder) {
    const int fd = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    fsync(fd);
    close(fd);
  }

  fs::path target_;
  fs::path path_;
};

void check_output(const fs::path& folder, const CheckpointOutput& output) {
  std::error_code error;
  if (folder.filename().empty()) throw usage_error("the output folder has no name");
  if (fs::exists(fs::symlink_status(folder, error))) {
    throw usage_error("{}: exists already; choose another output folder", folder.string());
  }
  if (output.shards < 1 || output.shards > kMaxShards) {
    throw usage_error("{} shards asked for, expected 1 to {}", output.shards, kMaxShards);
  }
  std::set<std::string_view> names;
  for (const auto& tensor : output.tensors) {
    byte_count(tensor);
    if (!names.insert(tensor.name).second) throw usage_error("{}: written twice", tensor.name);
  }
}

// Cuts the list into `shards` runs of about the same number of bytes, at least one tensor each.
std::vector<std::span<const OutputTensor>> split(std::span<const OutputTensor> tensors,
                                                 size_t shards) {
  size_t total = 0;
  for (const auto& tensor : tensors) total += byte_count(tensor);
  shards = std::max<size_t>(1, std::min(shards, tensors.size()));
  std::vector<std::span<const OutputTensor>> parts;
  size_t begin = 0, bytes = 0;
  for (size_t i = 0; i < tensors.size(); ++i) {
    bytes += byte_count(tensors[i]);
    const size_t parts_after = shards - parts.size() - 1;
    const size_t tensors_after = tensors.size() - i - 1;
    const bool full = bytes >= total / shards || tensors_after == parts_after;
    if (parts_after > 0 && full) {
      parts.push_back(tensors.subspan(begin, i + 1 - begin));
      begin = i + 1;
      bytes = 0;
    }
  }
  parts.push_back(tensors.subspan(begin));
  return parts;
}

void write_weights(const fs::path& folder, const CheckpointOutput& output) {
  const auto parts = split(output.tensors, static_cast<size_t>(output.shards));
  if (parts.size() == 1) return write_safetensors(folder / "model.safetensors", parts[0]);
  json map = json::object();
  size_t total = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, parts.size());
    write_safetensors(folder / name, parts[i]);
    for (const auto& tensor : parts[i]) {
      map[tensor.name] = name;
      total += byte_count(tensor);
    }
  }
  const json index = {{"metadata", {{"total_size", total}}}, {"weight_map", std::move(map)}};
  write_file_atomic(folder / "model.safetensors.index.json", index.dump(2) + "\n");
}

void copy_tokenizer(const fs::path& from, const fs::path& to) {
  for (const char* name : kTokenizerFiles) {
    std::error_code error;
    if (fs::is_regular_file(from / name, error)) {
      write_file_atomic(to / name, read_file(from / name));
    }
  }
}

}  // namespace

OutputTensor tensor_from_bytes(std::string name, DType dtype, std::vector<int64_t> shape,
                               std::span<const std::byte> bytes) {
  return {std::move(name), dtype, std::move(shape),
          [bytes](TensorSink& sink) { sink.put_bytes(bytes); }};
}

void write_checkpoint(const fs::path& path, const CheckpointOutput& output) {
  const fs::path folder = path.filename().empty() ? path.parent_path() : path;  // "out/" is "out"
  check_output(folder, output);
  TemporaryFolder temporary(folder);
  write_weights(temporary.path(), output);
  write_file_atomic(temporary.path() / "config.json", output.config->dump(2) + "\n");
  if (!output.tokenizer_source.empty()) copy_tokenizer(output.tokenizer_source, temporary.path());
  for (const auto& [name, bytes] : output.extra_files) {
    write_file_atomic(temporary.path() / name, bytes);
  }
  temporary.commit();
}

}  // namespace sentinel
