#include <algorithm>
#include <cstring>

#include "api/impl.h"
#include "base/error.h"

namespace sentinel {
namespace {

void check_length(const Model& model, size_t length) {
  if (length == 0) throw usage_error("no tokens given: at least one is needed");
  const auto context = static_cast<size_t>(model.config().context_length);
  if (length > context) {
    throw usage_error("{} tokens are more than the model's context of {}; shorten the sequence",
                      length, context);
  }
}

void check_size(const char* what, size_t size, size_t expected) {
  if (size == expected) return;
  throw usage_error("{}: {} elements given, expected {}", what, size, expected);
}

void run(Model& model, Session& session, std::span<const int32_t> ids, float* logits) {
  const int64_t vocab = model.config().vocab_size;
  session.truncate(0, 0);
  session.prefill(0, ids, [&](int first, int rows, const float* block) {
    std::memcpy(logits + first * vocab, block, static_cast<size_t>(rows * vocab) * sizeof(float));
  });
}

}  // namespace

Logits AdaptiveModel::forward(std::span<const int32_t> ids) {
  check_length(impl_->output(), ids.size());
  Logits logits{static_cast<int>(ids.size()), impl_->output().config().vocab_size, {}};
  logits.values.resize(ids.size() * static_cast<size_t>(logits.vocab_size));
  forward_into(ids, logits.values);
  return logits;
}

void AdaptiveModel::forward_into(std::span<const int32_t> ids, std::span<float> logits) {
  Model& model = impl_->output();
  check_length(model, ids.size());
  check_size("logits", logits.size(), ids.size() * static_cast<size_t>(model.config().vocab_size));
  const auto session = model.new_session(1, static_cast<int>(ids.size()));
  run(model, *session, ids, logits.data());
}

void AdaptiveModel::forward_batch_into(int batch, int length, std::span<const int32_t> ids,
                                       std::span<const uint8_t> mask, std::span<float> logits) {
  Model& model = impl_->output();
  if (batch < 1) throw usage_error("batch: {} sequences given, expected 1 or more", batch);
  check_length(model, static_cast<size_t>(std::max(0, length)));
  const auto n = static_cast<size_t>(length),
             vocab = static_cast<size_t>(model.config().vocab_size);
  const size_t positions = static_cast<size_t>(batch) * n;
  check_size("ids", ids.size(), positions);
  if (!mask.empty()) check_size("attention_mask", mask.size(), positions);
  check_size("logits", logits.size(), positions * vocab);
  const auto session = model.new_session(1, length);
  std::vector<int32_t> kept;
  std::vector<float> rows;
  for (size_t begin = 0; begin < positions; begin += n) {
    const auto is_kept = [&](size_t i) { return mask.empty() || mask[begin + i] != 0; };
    kept.clear();
    for (size_t i = 0; i < n; ++i) {
      if (is_kept(i)) kept.push_back(ids[begin + i]);
    }
    float* out = logits.data() + begin * vocab;
    if (kept.size() == n) {
      run(model, *session, kept, out);
      continue;
    }
    std::fill_n(out, n * vocab, 0.0F);
    if (kept.empty()) continue;
    rows.resize(kept.size() * vocab);
    run(model, *session, kept, rows.data());
    size_t row = 0;
    for (size_t i = 0; i < n; ++i) {
      if (is_kept(i)) std::copy_n(rows.data() + vocab * row++, vocab, out + i * vocab);
    }
  }
}

}  // namespace sentinel
