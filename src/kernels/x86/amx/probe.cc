// Tile products at full speed: four sums on two tiles of inputs and two of weights, from registers.
#include "kernels/probe_kernels.h"
#include "kernels/x86/amx/tiles.h"

namespace sentinel {
namespace {

// Everything is 0, which takes as long; the stored tile keeps the products alive.
float sum_of_first_tile() {
  alignas(64) float tile[16][16];
  _tile_stored(0, tile, 64);
  before_tile_loads();
  return tile[0][0] + tile[15][15];
}

void zero_tiles() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
}

float bf16_products(int64_t iterations) {
  const TileScope tiles;
  zero_tiles();
  for (int64_t i = 0; i < iterations; ++i) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  return sum_of_first_tile();
}

float int8_products(int64_t iterations) {
  const TileScope tiles;
  zero_tiles();
  for (int64_t i = 0; i < iterations; ++i) {
    _tile_dpbsud(0, 4, 6);
    _tile_dpbsud(1, 4, 7);
    _tile_dpbsud(2, 5, 6);
    _tile_dpbsud(3, 5, 7);
  }
  return sum_of_first_tile();
}

}  // namespace

ArithmeticProbe amx_bf16_probe() { return {bf16_products, 4 * 16 * 16 * 32 * 2}; }
ArithmeticProbe amx_int8_probe() { return {int8_products, 4 * 16 * 16 * 64 * 2}; }

}  // namespace sentinel
