#include "app/prune/loss_meter.h"

#include <algorithm>
#include <cmath>

#include "app/prune/panels.h"

namespace sentinel {
namespace {

constexpr int kLogitRows = 96;

// -ln softmax(logits)[target].
double row_loss(const float* logits, int n, int target) {
  const float max = *std::max_element(logits, logits + n);
  float sums[8] = {};
  int i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int u = 0; u < 8; ++u) sums[u] += std::exp(logits[i + u] - max);
  }
  double sum = 0;
  for (; i < n; ++i) sum += std::exp(logits[i] - max);
  for (const float s : sums) sum += s;
  return std::log(sum) + max - logits[target];
}

}  // namespace

LossMeter::LossMeter(std::shared_ptr<const Checkpoint> base,
                     std::vector<std::span<const int32_t>> windows, bool protect_first,
                     SublayerRunner& runner)
    : base_(std::move(base)),
      windows_(std::move(windows)),
      protect_first_(protect_first),
      runner_(runner),
      n_sublayers_(2 * base_->config().n_layers) {
  for (const auto& window : windows_) tokens_ += std::ssize(window) - 1;
  norm_weight_ = base_->view().final_norm_weight.to_floats();
  norm_bias_ = base_->view().final_norm_bias.to_floats();
  pack_lm_head();
  const EditableModel dense(base_);
  set_model(dense);
  dense_loss_ = loss_;
  if (!protect_first_) return;
  // The dense run's position-0 rows, before every sub-layer and at the end.
  Stream stream = streams_.back();
  runner_.run(*packed_.back(), stream, &stream, {});
  for (int i = 0; i <= n_sublayers_; ++i) {
    const Stream& from = i < n_sublayers_ ? streams_[i] : stream;
    auto& rows = first_rows_.emplace_back();
    int64_t row = 0;
    for (const int length : from.lengths) {
      rows.insert(rows.end(), from.row(row), from.row(row) + from.d_model);
      row += length;
    }
  }
}

// Panels [vocab / 16][d_model][16].
void LossMeter::pack_lm_head() {
  const MatrixView& w = base_->view().lm_head;
  const int64_t panels = round_up(w.n_out, kPanel) / kPanel;
  lm_head_ = AlignedBuffer(static_cast<size_t>(panels * w.n_in * kPanel) * sizeof(float));
  runner_.pool().run([&](int thread) {
    std::vector<float> row(static_cast<size_t>(w.n_in));
    const Range mine = share(panels, thread, runner_.pool().size());
    for (int64_t o = mine.begin * kPanel; o < std::min(mine.end * kPanel, w.n_out); ++o) {
      load_elements(w.data + o * w.out_stride * static_cast<int64_t>(size_of(w.dtype)), w.dtype,
                    w.in_stride, w.n_in, row.data());
      float* panel = lm_head_.as<float>() + (o / kPanel) * w.n_in * kPanel + o % kPanel;
      for (int64_t i = 0; i < w.n_in; ++i) panel[i * kPanel] = row[i];
    }
  });
}

std::shared_ptr<PackedSublayer> LossMeter::pack(int index, const EditableLayer& layer) const {
  return std::make_shared<PackedSublayer>(*base_, layer, sublayer(index), runner_.kernels(),
                                          runner_.pool());
}

void LossMeter::set_model(const EditableModel& model) {
  packed_.clear();
  for (int i = 0; i < n_sublayers_; ++i) packed_.push_back(pack(i, model.layers[i / 2]));
  streams_.assign(static_cast<size_t>(n_sublayers_), {});
  loss_ = run_from(0, embed(*base_, model.position_embedding, windows_), nullptr, true);
}

double LossMeter::loss_with(int index, const EditableLayer& layer) {
  const auto changed = pack(index, layer);
  return run_from(index, streams_[index], changed.get(), false);
}

void LossMeter::accept(int index, const EditableLayer& layer) {
  packed_[index] = pack(index, layer);
  loss_ = run_from(index, streams_[index], nullptr, true);
}

void LossMeter::protect(int next, Stream& stream) const {
  if (first_rows_.empty()) return;
  const float* from = first_rows_[next].data();
  int64_t row = 0;
  for (const int length : stream.lengths) {
    std::copy_n(from, stream.d_model, stream.row(row));
    from += stream.d_model;
    row += length;
  }
}

double LossMeter::run_from(int first, Stream stream, const PackedSublayer* changed, bool keep) {
  for (int i = first; i < n_sublayers_; ++i) {
    protect(i, stream);
    if (keep) streams_[i] = stream;
    runner_.run(i == first && changed ? *changed : *packed_[i], stream, &stream, {});
  }
  protect(n_sublayers_, stream);
  return head_loss(stream);
}

double LossMeter::head_loss(const Stream& stream) {
  const ModelConfig& config = base_->config();
  const int64_t d = config.d_model, d_padded = round_up(d, kPanel), vocab = config.vocab_size;
  std::vector<const float*> inputs;
  std::vector<int32_t> targets;
  int64_t row = 0;
  for (const auto& window : windows_) {
    for (int r = 0; r + 1 < std::ssize(window); ++r) {
      inputs.push_back(stream.row(row + r));
      targets.push_back(window[r + 1]);
    }
    row += std::ssize(window);
  }
  const auto n = std::ssize(inputs);
  std::vector<double> sums(static_cast<size_t>(runner_.pool().size()));
  runner_.pool().run([&](int thread) {
    const Range mine = share(n, thread, runner_.pool().size());
    std::vector<float> normed(static_cast<size_t>(kLogitRows * d_padded));
    std::vector<float> logits(static_cast<size_t>(kLogitRows * vocab));
    const Segment segment{0, 0, static_cast<int32_t>(d)};
    for (int64_t begin = mine.begin; begin < mine.end; begin += kLogitRows) {
      const int rows = static_cast<int>(std::min<int64_t>(kLogitRows, mine.end - begin));
      for (int r = 0; r < rows; ++r) {
        runner_.kernels().layer_norm(inputs[begin + r], d, norm_weight_.data(), norm_bias_.data(),
                                     config.norm_epsilon, 1, static_cast<int>(d),
                                     static_cast<int>(d_padded), normed.data() + r * d_padded,
                                     d_padded);
      }
      run_f32(runner_.kernels(),
              f32_product(lm_head_.as<float>(), d * kPanel, segment, normed.data(), d_padded, rows,
                          logits.data(), vocab, vocab),
              0, round_up(vocab, kPanel) / kPanel);
      for (int r = 0; r < rows; ++r) {
        sums[thread] +=
            row_loss(logits.data() + r * vocab, static_cast<int>(vocab), targets[begin + r]);
      }
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total / static_cast<double>(n);
}

}  // namespace sentinel
