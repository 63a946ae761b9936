#include "base/aligned_buffer.h"

#include <sys/mman.h>

#include <cstdint>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr size_t kPage = 4096;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kCacheLine = 64;

// mmap only aligns to 4 KiB: over-allocate by one huge page, then unmap both ends.
void* map_aligned(size_t bytes) {
  void* map =
      mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) return nullptr;
  const auto begin = reinterpret_cast<uintptr_t>(map);
  const auto aligned = (begin + kHugePage - 1) & ~(kHugePage - 1);
  if (aligned > begin) munmap(map, aligned - begin);
  const uintptr_t tail = begin + kHugePage - aligned;
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + bytes), tail);
  madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(aligned);
}

bool is_large(size_t bytes) { return bytes >= 2 * kHugePage; }

// Not to huge pages: the system would fill the last one, up to 2 MB that nobody asked for.
size_t rounded(size_t bytes) {
  const size_t unit = is_large(bytes) ? kPage : kCacheLine;
  return (bytes + unit - 1) / unit * unit;
}

}  // namespace

AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes) {
  if (bytes == 0) return;
  if (bytes > (size_t{1} << 46)) throw runtime_error("cannot allocate {} bytes", bytes);
  void* memory = nullptr;
  if (is_large(bytes)) {
    memory = map_aligned(rounded(bytes));
  } else {
    memory = ::operator new (rounded(bytes), std::align_val_t{kCacheLine}, std::nothrow);
    if (memory) __builtin_memset(memory, 0, rounded(bytes));
  }
  if (!memory) throw runtime_error("out of memory: cannot allocate {} MB", bytes >> 20);
  data_ = static_cast<std::byte*>(memory);
}

size_t AlignedBuffer::release(size_t offset, size_t bytes) {
  if (!is_large(size_) || offset + bytes > size_) return 0;
  const size_t begin = (offset + kPage - 1) / kPage * kPage, end = (offset + bytes) / kPage * kPage;
  if (end <= begin || madvise(data_ + begin, end - begin, MADV_DONTNEED) != 0) return 0;
  return end - begin;
}

AlignedBuffer::~AlignedBuffer() {
  if (!data_) return;
  if (is_large(size_)) {
    munmap(data_, rounded(size_));
  } else {
    ::operator delete (data_, std::align_val_t{kCacheLine});
  }
}

}  // namespace sentinel
