#include "app/prune/loss_meter.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "model/packed_matrix.h"

namespace sentinel {
namespace {

constexpr int kLogitRows = 96;

// Rows of lm_head.
std::vector<float> rows_of(const MatrixView& matrix, std::span<const int32_t> rows) {
  std::vector<float> out(rows.size() * static_cast<size_t>(matrix.n_in));
  float* to = out.data();
  for (const int32_t row : rows) {
    load_row(matrix, row, to);
    to += matrix.n_in;
  }
  return out;
}

}  // namespace

TokenWindows first_tokens(const TokenWindows& windows, int64_t tokens) {
  TokenWindows first;
  for (const auto& window : windows) {
    const auto length = static_cast<size_t>(std::min<int64_t>(std::ssize(window), tokens));
    if (length < 2) continue;
    first.push_back(window.first(length));
    tokens -= std::ssize(first.back());
  }
  return first;
}

TokenWindows spread_tokens(const TokenWindows& windows, int64_t tokens) {
  if (windows.empty()) return {};
  const auto count = static_cast<size_t>(tokens) / windows.front().size() + 1;
  const size_t stride = std::max<size_t>(1, windows.size() / count);
  TokenWindows some;
  for (size_t i = 0; i < windows.size(); i += stride) some.push_back(windows[i]);
  return first_tokens(some, tokens);
}

double loss_flops(const ModelConfig& config, std::span<const int32_t> vocabulary) {
  const double d = config.d_model;
  const double logits = vocabulary.empty() ? config.vocab_size : double(vocabulary.size());
  return config.n_layers * (4 * d * d + 2 * d * config.ffn_dim) + 2 * d * logits;
}

LossMeter::LossMeter(std::shared_ptr<const Checkpoint> base, TokenWindows windows,
                     SublayerRunner& runner, const LossMeterOptions& options)
    : base_(std::move(base)),
      windows_(std::move(windows)),
      runner_(runner),
      options_(options),
      n_sublayers_(2 * base_->config().n_layers) {
  norm_weight_ = base_->view().final_norm_weight.to_floats();
  norm_bias_ = base_->view().final_norm_bias.to_floats();
  pack_lm_head();
  const EditableModel dense(base_);
  set_model(dense);
  dense_loss_ = loss_;
  if (!options_.protect_first) return;
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

void LossMeter::pack_lm_head() {
  const MatrixView& whole = base_->view().lm_head;
  std::vector<float> some;
  MatrixView rows = whole;
  if (!options_.vocabulary.empty()) {
    some = rows_of(whole, options_.vocabulary);
    rows = {reinterpret_cast<const std::byte*>(some.data()),
            DType::f32,
            n_logits(),
            whole.n_in,
            whole.n_in,
            1,
            whole.name};
  }
  const MatrixView* const view = &rows;
  lm_head_ = packed_shape(options_.type, view->n_out, view->n_in);
  // Tile loads may read, and ignore, up to 1 KiB behind a panel.
  lm_head_memory_ = AlignedBuffer(static_cast<size_t>(lm_head_.bytes()) + 1024);
  lm_head_.data = lm_head_memory_.data();
  std::atomic<bool> finite{true};
  const auto task_of = [&](int64_t p) {
    return PanelTask{{&view, 1}, p * kPanel,        view->n_in, options_.type,
                     lm_head_.k, lm_head_.panel(p), 0,          nullptr};
  };
  std::vector<std::vector<float>> scratch(
      static_cast<size_t>(runner_.pool().size()),
      std::vector<float>(static_cast<size_t>(pack_scratch(task_of(0)))));
  runner_.pool().run([&](int thread) {
    const Range mine = share(lm_head_.panels, thread, runner_.pool().size());
    for (int64_t p = mine.begin; p < mine.end; ++p) {
      if (pack_panel(task_of(p), runner_.kernels(), scratch[thread].data())) finite = false;
    }
  });
  base_->release_pages();
  if (!finite) throw base_->not_finite(view->name);
}

std::shared_ptr<PackedSublayer> LossMeter::pack(int index, const EditableLayer& layer) const {
  return std::make_shared<PackedSublayer>(*base_, layer, sublayer(index), runner_.kernels(),
                                          runner_.pool(), options_.type);
}

int LossMeter::n_logits() const {
  return options_.vocabulary.empty() ? base_->config().vocab_size
                                     : static_cast<int>(options_.vocabulary.size());
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
    throw_if_set(options_.cancel);
    protect(i, stream);
    if (keep) streams_[i] = stream;
    runner_.run(i == first && changed ? *changed : *packed_[i], stream, &stream, {});
  }
  protect(n_sublayers_, stream);
  return head_loss(stream);
}

double LossMeter::head_loss(const Stream& stream) {
  const auto logit_of = [&](int32_t token) {
    const auto all = options_.vocabulary;
    return all.empty() ? token
                       : static_cast<int32_t>(std::lower_bound(all.begin(), all.end(), token) -
                                              all.begin());
  };
  std::vector<Scored> scored;
  int64_t row = 0;
  for (const auto& window : windows_) {
    for (int r = 0; r + 1 < std::ssize(window); ++r) {
      scored.push_back({stream.row(row + r), logit_of(window[r + 1])});
    }
    row += std::ssize(window);
  }
  const int members = runner_.pool().size();
  std::vector<double> sums(static_cast<size_t>(members));
  std::vector<HeadSpace> spaces;
  for (int i = 0; i < members; ++i) spaces.push_back(head_space());
  runner_.pool().run([&](int thread) {
    const Range mine = share(std::ssize(scored), thread, members);
    sums[thread] = sum_losses(std::span(scored).subspan(mine.begin, mine.size()), spaces[thread]);
  });
  return std::accumulate(sums.begin(), sums.end(), 0.0) / static_cast<double>(scored.size());
}

LossMeter::HeadSpace LossMeter::head_space() const {
  const int64_t stride = operand_width(base_->config().d_model), rows = kLogitRows + kOverread;
  const int bytes = runner_.kernels().input_bytes[static_cast<int>(options_.type)];
  return {std::vector<float>(static_cast<size_t>(rows * stride)),
          std::vector<float>(static_cast<size_t>(int64_t{kLogitRows} * n_logits())),
          AlignedBuffer(static_cast<size_t>(rows * stride * bytes))};
}

double LossMeter::sum_losses(std::span<const Scored> scored, HeadSpace& space) const {
  const ModelConfig& config = base_->config();
  const KernelTable& kernels = runner_.kernels();
  const int vocab = n_logits(), d = config.d_model;
  const int64_t stride = operand_width(d);
  std::vector<float>&normed = space.normed, &logits = space.logits;
  Operand operand{};
  operand.stride = stride * kernels.input_bytes[static_cast<int>(options_.type)];
  operand.data = space.operand.data();
  const Segment whole{0, 0, static_cast<int32_t>(lm_head_.k)};
  double sum = 0;
  for (size_t begin = 0; begin < scored.size(); begin += kLogitRows) {
    const auto rows = std::min<size_t>(kLogitRows, scored.size() - begin);
    for (size_t r = 0; r < rows; ++r) {
      kernels.layer_norm(scored[begin + r].row, d, norm_weight_.data(), norm_bias_.data(),
                         config.norm_epsilon, 1, d, static_cast<int>(stride),
                         normed.data() + r * stride, stride);
    }
    LinearArgs args{};
    args.weights = lm_head_.data;
    args.panel_stride = lm_head_.panel_stride;
    args.segments = &whole;
    args.n_segments = 1;
    args.x = to_operand(kernels, options_.type, normed.data(), stride, static_cast<int>(rows), d,
                        nullptr, -1, operand);
    args.rows = static_cast<int>(rows);
    args.y = logits.data();
    args.y_stride = args.n_out = vocab;
    args.epilogue = Epilogue::store;
    kernels.linear[static_cast<int>(options_.type)](args, 0, lm_head_.panels);
    for (size_t r = 0; r < rows; ++r) {
      float* row = logits.data() + r * vocab;
      const SoftmaxSums sums = kernels.softmax(row, vocab, vocab, 1);
      sum += std::log(sums.l) - std::log(row[scored[begin + r].target]);
    }
  }
  return sum;
}

}  // namespace sentinel
