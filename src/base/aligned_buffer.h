// Owning, zero-initialised memory, aligned for vector loads; large buffers ask for huge pages.
#pragma once

#include <cstddef>
#include <utility>

namespace sentinel {

class AlignedBuffer {
 public:
  AlignedBuffer() = default;
  // Buffers of 4 MiB and more are 2 MiB aligned and advised MADV_HUGEPAGE; smaller ones are
  // aligned to 64 bytes. Throws Error (runtime) when memory is short.
  explicit AlignedBuffer(size_t bytes);
  // Of small pages that come into being when they are written, for memory of which little may be
  // used. Page-aligned.
  static AlignedBuffer sparse(size_t bytes);
  // Takes the place of what is held, which is given back first (`buffer = AlignedBuffer(bytes)`
  // holds both for a moment). Nothing is held if it throws.
  void renew(size_t bytes);
  ~AlignedBuffer();
  AlignedBuffer(AlignedBuffer&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)),
        mapped_(std::exchange(other.mapped_, false)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(mapped_, other.mapped_);
    return *this;
  }

  std::byte* data() { return data_; }
  const std::byte* data() const { return data_; }
  size_t size() const { return size_; }
  // Gives the whole pages inside [offset, offset + bytes) back to the system; they read as zeros
  // from now on. Returns the bytes given back: 0 for small buffers.
  size_t release(size_t offset, size_t bytes);
  template <typename T>
  T* as() {
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  const T* as() const {
    return reinterpret_cast<const T*>(data_);
  }

 private:
  std::byte* data_ = nullptr;
  size_t size_ = 0;
  bool mapped_ = false;  // else of the heap
};

}  // namespace sentinel
