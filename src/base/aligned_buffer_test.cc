#include "base/aligned_buffer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr size_t kMega = size_t{1} << 20;

bool is_zero(const AlignedBuffer& buffer) {
  return std::all_of(buffer.data(), buffer.data() + buffer.size(),
                     [](std::byte byte) { return byte == std::byte{0}; });
}

TEST(AlignedBuffer, OfAnySizeIsAlignedZeroAndWritableToTheEnd) {
  for (const size_t bytes : {size_t{1}, size_t{4095}, 4 * kMega - 1, 4 * kMega, 5 * kMega + 4097}) {
    for (const bool sparse : {false, true}) {
      AlignedBuffer buffer = sparse ? AlignedBuffer::sparse(bytes) : AlignedBuffer(bytes);
      EXPECT_EQ(buffer.size(), bytes);
      EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0U);
      EXPECT_TRUE(is_zero(buffer)) << bytes;
      std::fill_n(buffer.data(), bytes, std::byte{7});
    }
  }
  EXPECT_EQ(AlignedBuffer(0).data(), nullptr);
  EXPECT_EQ(AlignedBuffer::sparse(0).data(), nullptr);
  EXPECT_THROW(AlignedBuffer(size_t{1} << 50), Error);
  EXPECT_THROW(AlignedBuffer::sparse(size_t{1} << 50), Error);
}

// Each kind is freed in its own way, wherever it was moved to.
TEST(AlignedBuffer, KindsMayBeMovedIntoEachOther) {
  AlignedBuffer small(100), large(4 * kMega), sparse = AlignedBuffer::sparse(100);
  std::swap(small, large);
  std::swap(large, sparse);
  EXPECT_EQ(small.size(), 4 * kMega);
  sparse = std::move(small);
  EXPECT_EQ(sparse.size(), 4 * kMega);
  const AlignedBuffer last = std::move(sparse);
  EXPECT_TRUE(is_zero(last));
}

TEST(AlignedBuffer, GivesItsMemoryBackBeforeItIsRenewed) {
  AlignedBuffer buffer(4 * kMega);
  std::fill_n(buffer.data(), buffer.size(), std::byte{7});
  buffer.renew(5 * kMega);
  EXPECT_EQ(buffer.size(), 5 * kMega);
  EXPECT_TRUE(is_zero(buffer));
  EXPECT_THROW(buffer.renew(size_t{1} << 50), Error);
  EXPECT_EQ(buffer.size(), 0U);  // it was given back first
}

TEST(AlignedBuffer, ReleasedPagesReadAsZeros) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  AlignedBuffer large(4 * kMega + 100), small(10000), sparse = AlignedBuffer::sparse(3 * page);
  for (AlignedBuffer* buffer : {&large, &small, &sparse}) {
    std::fill_n(buffer->data(), buffer->size(), std::byte{7});
  }
  EXPECT_EQ(large.release(100, 3 * page), 2 * page);
  EXPECT_EQ(large.data()[page - 1], std::byte{7});
  EXPECT_EQ(large.data()[page], std::byte{0});
  EXPECT_EQ(large.data()[3 * page + 99], std::byte{7});
  EXPECT_EQ(large.release(4 * kMega, 101), 0U);  // beyond the end
  EXPECT_EQ(sparse.release(0, page), page);
  EXPECT_EQ(sparse.data()[0], std::byte{0});
  EXPECT_EQ(small.release(0, 10000), 0U);
  EXPECT_EQ(small.data()[5000], std::byte{7});
}

}  // namespace
}  // namespace sentinel
