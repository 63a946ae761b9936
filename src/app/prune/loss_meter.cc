#include "app/prune/loss_meter.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

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
  const ModelConfig& config = base_->config();
  for (const auto& window : windows_) tokens_ += std::ssize(window) - 1;
  norm_weight_ = base_->view().final_norm_weight.to_floats();
  norm_bias_ = base_->view().final_norm_bias.to_floats();
  lm_head_ = packed_shape(WeightType::f32, config.vocab_size, config.d_model);
  lm_head_data_ = AlignedBuffer(static_cast<size_t>(lm_head_.bytes()));
  lm_head_.data = lm_head_data_.data();
  runner_.pool().run([&](int thread) {
    std::vector<float> scratch(static_cast<size_t>(32 * (lm_head_.k + 16)));
    const Range mine = share(lm_head_.panels, thread, runner_.pool().size());
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      pack_panel(base_->view().lm_head, p * kPanel, 0, config.d_model, WeightType::f32, lm_head_.k,
                 lm_head_.panel(p), scratch.data());
    }
  });
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

std::shared_ptr<PackedSublayer> LossMeter::pack(int index, const EditableLayer& layer) const {
  return std::make_shared<PackedSublayer>(*base_, layer, sublayer(index), runner_.pool());
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
    const Segment segment{0, 0, static_cast<int32_t>(lm_head_.k)};
    for (int64_t begin = mine.begin; begin < mine.end; begin += kLogitRows) {
      const int rows = static_cast<int>(std::min<int64_t>(kLogitRows, mine.end - begin));
      for (int r = 0; r < rows; ++r) {
        runner_.kernels().layer_norm(inputs[begin + r], d, norm_weight_.data(), norm_bias_.data(),
                                     config.norm_epsilon, 1, static_cast<int>(d),
                                     static_cast<int>(d_padded), normed.data() + r * d_padded,
                                     d_padded);
      }
      LinearArgs args{};
      args.weights = lm_head_.data;
      args.panel_stride = lm_head_.panel_stride;
      args.segments = &segment;
      args.n_segments = 1;
      args.x = normed.data();
      args.x_stride = d_padded;
      args.rows = rows;
      args.y = logits.data();
      args.y_stride = vocab;
      args.n_out = vocab;
      args.epilogue = Epilogue::store;
      runner_.kernels().linear_f32(args, 0, lm_head_.panels);
      for (int r = 0; r < rows; ++r) {
        sums[thread] += row_loss(logits.data() + r * vocab, static_cast<int>(vocab),
                                 targets[begin + r]);
      }
    }
  });
  double total = 0;
  for (const double sum : sums) total += sum;
  return total / static_cast<double>(n);
}

}  // namespace sentinel
