#include "model/staging.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>

namespace sentinel {
namespace {

std::span<const std::byte> extent(const MatrixView& view) {
  const int64_t last = (view.n_out - 1) * view.out_stride + (view.n_in - 1) * view.in_stride;
  return {view.data, static_cast<size_t>(last + 1) * size_of(view.dtype)};
}

}  // namespace

void Staging::stage(std::deque<MatrixView>& views, ThreadPool& pool) {
  const std::byte *begin = nullptr, *end = nullptr;
  size_t used = 0;
  for (const MatrixView& view : views) {
    if (view.n_out == 0 || view.n_in == 0) continue;
    const auto part = extent(view);
    if (!begin || std::less<>()(part.data(), begin)) begin = part.data();
    if (!end || std::less<>()(end, part.data() + part.size())) end = part.data() + part.size();
    used += static_cast<size_t>(view.n_out * view.n_in) * size_of(view.dtype);
  }
  if (!begin) return;
  const std::span<const std::byte> stored(begin, end);
  if (stored.size() > 2 * used || !read(stored, pool)) return;
  for (MatrixView& view : views) view.data = buffer_.data() + (view.data - begin);
}

bool Staging::read(std::span<const std::byte> stored, ThreadPool& pool) {
  if (!checkpoint_.in_a_file(stored)) return false;
  if (buffer_.size() < stored.size()) buffer_.renew(stored.size());
  constexpr size_t kPiece = size_t{256} << 10;
  std::atomic<size_t> next{0};
  std::vector<std::exception_ptr> failures(static_cast<size_t>(pool.size()));
  pool.run([&](int thread) {
    try {
      for (size_t at; (at = next.fetch_add(kPiece)) < stored.size();) {
        checkpoint_.read(stored.subspan(at, std::min(kPiece, stored.size() - at)),
                         buffer_.data() + at);
      }
    } catch (...) {
      failures[static_cast<size_t>(thread)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return true;
}

}  // namespace sentinel
