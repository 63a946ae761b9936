#include "base/aligned_buffer.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kCacheLine = 64;

// 64 KiB on some aarch64 kernels.
size_t page_size() {
  static const auto size = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return size;
}

void* map(size_t bytes, int flags) {
  void* memory =
      mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

// mmap only aligns to pages: over-allocate by one huge page, then unmap both ends.
void* map_aligned(size_t bytes) {
  void* memory = map(bytes + kHugePage, 0);
  if (!memory) return nullptr;
  const auto begin = reinterpret_cast<uintptr_t>(memory);
  const auto aligned = (begin + kHugePage - 1) & ~(kHugePage - 1);
  if (aligned > begin) munmap(memory, aligned - begin);
  const uintptr_t tail = begin + kHugePage - aligned;
  if (tail > 0) munmap(reinterpret_cast<void*>(aligned + bytes), tail);
  madvise(reinterpret_cast<void*>(aligned), bytes, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(aligned);
}

size_t rounded(size_t bytes, size_t unit) { return (bytes + unit - 1) / unit * unit; }

void* on_heap(size_t bytes) {
  void* memory = ::operator new (bytes, std::align_val_t{kCacheLine}, std::nothrow);
  if (memory) __builtin_memset(memory, 0, bytes);
  return memory;
}

void check_size(size_t bytes) {
  if (bytes > (size_t{1} << 46)) throw runtime_error("cannot allocate {} bytes", bytes);
}

std::byte* checked(void* memory, size_t bytes) {
  if (!memory) throw runtime_error("out of memory: cannot allocate {} MB", bytes >> 20);
  return static_cast<std::byte*>(memory);
}

}  // namespace

// Large ones are rounded to small pages: a last huge page would be filled whole, up to 2 MB that
// nobody asked for.
AlignedBuffer::AlignedBuffer(size_t bytes) : size_(bytes), mapped_(bytes >= 2 * kHugePage) {
  if (bytes == 0) return;
  check_size(bytes);
  data_ = checked(
      mapped_ ? map_aligned(rounded(bytes, page_size())) : on_heap(rounded(bytes, kCacheLine)),
      bytes);
}

AlignedBuffer AlignedBuffer::sparse(size_t bytes) {
  AlignedBuffer buffer;
  if (bytes == 0) return buffer;
  check_size(bytes);
  buffer.data_ = checked(map(rounded(bytes, page_size()), MAP_NORESERVE), bytes);
  madvise(buffer.data_, rounded(bytes, page_size()), MADV_NOHUGEPAGE);
  buffer.size_ = bytes;
  buffer.mapped_ = true;
  return buffer;
}

void AlignedBuffer::renew(size_t bytes) {
  *this = AlignedBuffer();
  *this = AlignedBuffer(bytes);
}

size_t AlignedBuffer::release(size_t offset, size_t bytes) {
  if (!mapped_ || offset + bytes > size_) return 0;
  const size_t page = page_size();
  const size_t begin = rounded(offset, page), end = (offset + bytes) / page * page;
  if (end <= begin || madvise(data_ + begin, end - begin, MADV_DONTNEED) != 0) return 0;
  return end - begin;
}

AlignedBuffer::~AlignedBuffer() {
  if (!data_) return;
  if (mapped_) {
    munmap(data_, rounded(size_, page_size()));
  } else {
    ::operator delete (data_, std::align_val_t{kCacheLine});
  }
}

}  // namespace sentinel
