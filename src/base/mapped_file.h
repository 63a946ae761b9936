// A read-only memory-mapped file.
#pragma once

#include <cstddef>
#include <filesystem>
#include <functional>
#include <span>

namespace sentinel {

class MappedFile {
 public:
  // Throws Error (bad_input) if the file is missing, not a regular file, or empty.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  bool holds(std::span<const std::byte> part) const {
    const std::less_equal<> before;
    return before(data_, part.data()) && before(part.data() + part.size(), data_ + size_);
  }
  // Copies a part of bytes() from the file itself: its pages do not become resident. Error
  // (runtime) when they cannot be read any more.
  void read(std::span<const std::byte> part, std::byte* out) const;

  // Tells the kernel that these bytes are not needed for now: they leave this process' resident
  // memory and stay in the page cache.
  void release(std::span<const std::byte> part) const;

 private:
  std::filesystem::path path_;
  int file_ = -1;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace sentinel
