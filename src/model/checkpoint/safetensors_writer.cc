#include "model/checkpoint/safetensors_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {
using nlohmann::json;
static_assert(std::endian::native == std::endian::little, "the format is little-endian");

class OutputFile {
 public:
  explicit OutputFile(const std::filesystem::path& path) : path_(path) {
    fd_ = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd_ < 0) fail("create");
  }
  ~OutputFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  void write(const void* data, size_t bytes) {
    if (!write_all(fd_, {static_cast<const char*>(data), bytes})) fail("write");
  }
  void close() {
    if (fsync(fd_) != 0) fail("write");
    if (::close(std::exchange(fd_, -1)) != 0) fail("write");
  }

 private:
  [[noreturn]] void fail(const char* what) const {
    throw runtime_error("{}: cannot {}: {}", path_.string(), what, std::strerror(errno));
  }
  std::filesystem::path path_;
  int fd_ = -1;
};

class FileSink : public TensorSink {
 public:
  FileSink(OutputFile& file, const OutputTensor& tensor)
      : file_(file), tensor_(tensor), left_(byte_count(tensor)) {}

  void put(std::span<const float> values) override {
    const size_t width = size_of(tensor_.dtype);
    while (!values.empty()) {
      const auto part = values.first(std::min(values.size(), buffer_.size() / width));
      store_elements(part.data(), tensor_.dtype, std::ssize(part), buffer_.data());
      check_range(part);
      put_bytes({buffer_.data(), part.size() * width});
      values = values.subspan(part.size());
    }
  }

  void put_bytes(std::span<const std::byte> bytes) override {
    if (bytes.size() > left_) throw runtime_error("{}: more elements than its shape", tensor_.name);
    file_.write(bytes.data(), bytes.size());
    left_ -= bytes.size();
  }

  void finish() const {
    if (left_ != 0) {
      throw runtime_error("{}: {} bytes fewer than its shape", tensor_.name, left_);
    }
  }

 private:
  void check_range(std::span<const float> part) const {
    if (all_finite(buffer_.data(), tensor_.dtype, std::ssize(part))) return;
    const auto* values = reinterpret_cast<const std::byte*>(part.data());
    if (!all_finite(values, DType::f32, std::ssize(part))) return;  // was so before
    throw runtime_error("{}: holds a value that {} cannot store; write it as f32 or bf16",
                        tensor_.name, to_string(tensor_.dtype));
  }

  OutputFile& file_;
  const OutputTensor& tensor_;
  size_t left_;
  alignas(64) std::array<std::byte, size_t{1} << 16> buffer_;
};

const char* header_dtype(DType type) {
  switch (type) {
    case DType::f16:
      return "F16";
    case DType::bf16:
      return "BF16";
    case DType::int8:
      return "I8";
    case DType::f32:
      break;
  }
  return "F32";
}

std::string make_header(std::span<const OutputTensor> tensors) {
  json header;
  header["__metadata__"] = {{"format", "pt"}};  // transformers refuses files without it
  size_t offset = 0;
  for (const auto& tensor : tensors) {
    const size_t end = offset + byte_count(tensor);
    json entry = {{"dtype", header_dtype(tensor.dtype)}, {"shape", tensor.shape}};
    entry["data_offsets"] = {offset, end};
    header[tensor.name] = std::move(entry);
    offset = end;
  }
  std::string text = header.dump();
  // Spaces up to where the tensors, after 8 bytes of length, start on a cache line.
  text.append((64 - (text.size() + 8) % 64) % 64, ' ');
  return text;
}

}  // namespace

size_t byte_count(const OutputTensor& tensor) {
  size_t bytes = size_of(tensor.dtype);
  for (const int64_t dim : tensor.shape) {
    if (dim < 0 || __builtin_mul_overflow(bytes, static_cast<size_t>(dim), &bytes)) {
      throw usage_error("{}: shape [{}] is impossible", tensor.name, fmt::join(tensor.shape, ", "));
    }
  }
  return bytes;
}

void write_safetensors(const std::filesystem::path& path, std::span<const OutputTensor> tensors) {
  const std::string header = make_header(tensors);
  OutputFile file(path);
  const auto length = static_cast<uint64_t>(header.size());
  file.write(&length, sizeof(length));
  file.write(header.data(), header.size());
  for (const auto& tensor : tensors) {
    FileSink sink(file, tensor);
    tensor.produce(sink);
    sink.finish();
  }
  file.close();
}

}  // namespace sentinel
