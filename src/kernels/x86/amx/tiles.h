// The tile registers: one shape for all eight, 16 rows of 64 bytes.
#pragma once

#include <immintrin.h>

#include "kernels/types.h"

namespace sentinel {
namespace {

struct alignas(64) TileConfig {
  unsigned char palette = 1;
  unsigned char start_row = 0;
  unsigned char reserved[14] = {};
  unsigned short row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  unsigned char rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Configures the tiles for its lifetime. GCC 12's intrinsic declares only 8 of the 64 bytes as
// read, so stores to the others could be dropped: the object is constant and static.
class TileScope {
 public:
  TileScope() {
    static constexpr TileConfig kConfig;
    _tile_loadconfig(&kConfig);
  }
  ~TileScope() { _tile_release(); }
  TileScope(const TileScope&) = delete;
  TileScope& operator=(const TileScope&) = delete;
};

// An even number of panels of about 512 KiB together.
inline int64_t panels_per_group(const LinearArgs& a) {
  const int64_t n = (512 << 10) / (a.panel_stride > 0 ? a.panel_stride : 1);
  return n < 2 ? 2 : n / 2 * 2;
}

// GCC 12's _tile_loadd declares no memory read: whatever was written before must be in memory.
inline void before_tile_loads() { __asm__ volatile("" ::: "memory"); }

}  // namespace
}  // namespace sentinel
