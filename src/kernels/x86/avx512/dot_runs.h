// Products of one row with weights that lie in runs: a head's part of Wo holds all outputs, so that
// panel after panel would read a short piece of every head. Here many panels of a head are read
// before the next head's; their sums are in memory (L1) meanwhile.
#pragma once

#include "kernels/x86/avx512/dot_tile.h"

namespace sentinel {
namespace {

constexpr int kRunPanels = 32;  // whose sums are kept at a time

// Where lies what is read `distance` bytes after a panel's part of segment s, segment_bytes long,
// when parts of n panels are read one after the other.
struct RunsAhead {
  RunsAhead(const LinearArgs& a, int s, int n, int64_t segment_bytes, int64_t distance)
      : n_panels(n) {
    const int64_t panels = (distance + segment_bytes - 1) / segment_bytes;
    const int64_t segment = s + panels / n;
    skip = static_cast<int>(panels % n);
    const auto offset = [&](int64_t i) {
      return i < a.n_segments ? a.segments[i].weight_offset - a.segments[s].weight_offset : 0;
    };
    here = offset(segment) + skip * a.panel_stride;
    after = offset(segment + 1) + (skip - n) * a.panel_stride;
  }
  // From panel p of the n on. Behind the last segment it is anywhere near: a prefetch in vain.
  int64_t bytes(int p) const { return p + skip < n_panels ? here : after; }
  int n_panels, skip;
  int64_t here, after;
};

// Calls block(i) before the inputs of every block i of k_block, and run(s, from, to) for inputs
// [from, to) of segment s, counted from its first, that lie in one block.
template <typename Block, typename Run>
inline void for_each_run(const LinearArgs& a, int k_block, const Block& block, const Run& run) {
  int current = -1;
  for (int s = 0; s < a.n_segments; ++s) {
    const int offset = a.segments[s].x_offset;
    for (int from = 0; from < a.segments[s].k;) {
      const int next = (offset + from) / k_block;
      if (next != current) block(current = next);
      const int64_t block_end = int64_t{next + 1} * k_block - offset;
      const int to = a.segments[s].k < block_end ? a.segments[s].k : static_cast<int>(block_end);
      run(s, from, to);
      from = to;
    }
  }
}

// sums[u] += the products of `words` words of a panel, where U sums take turns.
template <typename F, int U>
inline void dot_words(const std::byte* w, const std::byte* x, int words, int64_t ahead,
                      typename F::Sum (&sums)[U]) {
  typename F::Sum sum[U];
  for (int u = 0; u < U; ++u) sum[u] = sums[u];
  constexpr auto kTurnBytes = static_cast<int>(F::bytes(8 * F::kWordInputs));
  for (int i = 0; i < words; i += 8, w += kTurnBytes, x += 8 * 4) {
#pragma GCC unroll 8
    for (int u = 0; u < 8; ++u) {
      if (64 * u < kTurnBytes) _mm_prefetch(w + 64 * u + ahead, _MM_HINT_T0);
      int word;
      __builtin_memcpy(&word, x + 4 * u, 4);
      sum[u % U] = F::dot(sum[u % U], F::word(w, u), _mm512_set1_epi32(word));
    }
  }
  for (int u = 0; u < U; ++u) sums[u] = sum[u];
}

// n <= kRunPanels panels from `first` on. The bits are those of dot_tile() with U sums a row.
template <typename F, int U>
[[gnu::noinline]] void dot_run_panels(const LinearArgs& a, int64_t first, int n) {
  typename F::Sum sums[kRunPanels][1][1][U];
  Vec16 totals[kRunPanels][1][1];
  for (int p = 0; p < n; ++p) totals[p][0][0] = Vec16::zero();
  int block = -1;
  const auto finish = [&] {
    for (int p = 0; p < n && block >= 0; ++p) finish_block<F>(a, 0, block, sums[p], totals[p]);
  };
  const auto start = [&](int next) {
    finish();
    block = next;
    for (int p = 0; p < n; ++p) start_block<F>(a, 0, block, sums[p]);
  };
  for_each_run(a, F::kBlock, start, [&](int s, int from, int to) {
    const Segment& segment = a.segments[s];
    const std::byte* x = a.x.data + (segment.x_offset + from) * (4 / F::kWordInputs);
    const RunsAhead ahead(a, s, n, F::bytes(segment.k), F::kPrefetch);
    for (int p = 0; p < n; ++p) {
      const std::byte* w = a.weights + panel_index(a, first + p) * a.panel_stride +
                           segment.weight_offset + F::bytes(from);
      dot_words<F, U>(w, x, (to - from) / F::kWordInputs, ahead.bytes(p), sums[p][0][0]);
    }
  });
  finish();
  for (int p = 0; p < n; ++p) {
    finish_dot_tile<F>(a, 0, dot_panels<1>(a, first + p), totals[p]);
  }
}

template <typename F, int U>
inline void dot_runs(const LinearArgs& a, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; i += kRunPanels) {
    dot_run_panels<F, U>(a, i, static_cast<int>(end - i < kRunPanels ? end - i : kRunPanels));
  }
}

}  // namespace
}  // namespace sentinel
