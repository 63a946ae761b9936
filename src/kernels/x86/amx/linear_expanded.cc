// y = x W + b for int4 and int6 panels on tiles, expanded to int8.
#include "kernels/x86/amx/quads.h"
#include "kernels/x86/avx512/expand.h"
#include "kernels/x86/dot_kernels.h"

namespace sentinel {
namespace {

// All rows over the expanded piece; the first piece starts y, the last finishes it.
void run_piece(const LinearArgs& a, const ExpandedPiece& piece, const int64_t* panels, int n_panels,
               bool first, bool last) {
  LinearArgs part = a;
  part.segments = piece.segments;
  part.n_segments = piece.n;
  QuadRunner<Int8Tiles> runner(part);
  const bool add = a.epilogue == Epilogue::add;
  for (int row = 0; row < a.rows; row += 32) {
    Quad quad{};
    quad.row = row;
    quad.n_rows = a.rows - row < 32 ? a.rows - row : 32;
    quad.n_panels = n_panels;
    for (int p = 0; p < n_panels; ++p) {
      quad.weights[p] = piece.weights[p];
      quad.scales[p] = piece.scales[p];
      quad.column[p] = panels[p] * kPanel;
      quad.bias[p] = first && a.bias ? a.bias + quad.column[p] : nullptr;
    }
    quad.add = add || !first;
    quad.activation = last ? a.epilogue : Epilogue::store;
    runner.run(quad);
  }
}

template <typename Expand>
void linear_expanded(const LinearArgs& a, int64_t begin, int64_t end) {
  const TileScope tiles;
  for_each_pair(a, begin, end, [&]<int P>(const int64_t* panels) {
    for_each_piece<Expand, P>(a, panels, [&](const ExpandedPiece& piece, bool first, bool last) {
      run_piece(a, piece, panels, P, first, last);
    });
  });
}

}  // namespace

void linear_int6_amx(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows <= kDirectRows) {
    linear_int6_vnni(a, begin, end);
  } else {
    linear_expanded<ExpandInt6>(a, begin, end);
  }
}

void linear_int4_amx(const LinearArgs& a, int64_t begin, int64_t end) {
  if (a.rows <= kDirectRows) {
    linear_int4_vnni(a, begin, end);
  } else {
    linear_expanded<ExpandInt4>(a, begin, end);
  }
}

}  // namespace sentinel
