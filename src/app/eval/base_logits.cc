#include <algorithm>
#include <cmath>
#include <limits>

#include "app/eval/base_reader.h"
#include "base/error.h"

namespace sentinel {
namespace {

// Logits held while two models run side by side.
constexpr size_t kMaxBlockBytes = size_t{64} << 20;
constexpr int kMinBlockRows = 16;

struct RowInfo {
  RowStats stats;
  double nll;
  float low, step;  // of the 16-bit codes: logit = low + step * code
};

int64_t count_rows(const std::vector<std::span<const int32_t>>& windows) {
  int64_t rows = 0;
  for (const auto& window : windows) rows += static_cast<int64_t>(window.size()) - 1;
  return rows;
}

}  // namespace

struct BaseStore {
  enum class Form { f32, u16, live } form = Form::live;
  Model* model = nullptr;
  int vocab = 0;
  std::vector<int32_t> tokens;    // of all windows, to recognise them
  std::vector<size_t> row_begin;  // [windows + 1]: first row of each window
  std::vector<RowInfo> rows;
  std::vector<float> f32;     // [rows, vocab]
  std::vector<uint16_t> u16;  // [rows, vocab]

  int windows() const { return static_cast<int>(row_begin.size()) - 1; }

  void add_row(const float* logits, int target, int window, int position) {
    RowInfo info{row_stats(logits, vocab), 0, 0, 0};
    check_finite(info.stats, window, position);
    info.nll = row_nll(logits, info.stats, target);
    if (form == Form::f32) {
      f32.insert(f32.end(), logits, logits + vocab);
    } else {
      info.low = *std::min_element(logits, logits + vocab);
      info.step =
          std::max((info.stats.max - info.low) / 65535.0F, std::numeric_limits<float>::min());
      for (int i = 0; i < vocab; ++i) {
        const float code = (logits[i] - info.low) / info.step + 0.5F;
        u16.push_back(static_cast<uint16_t>(std::min(code, 65535.0F)));
      }
    }
    rows.push_back(info);
  }
};

namespace {

class StoredReader : public BaseReader {
 public:
  explicit StoredReader(const BaseStore& store)
      : store_(store), scratch_(store.form == BaseStore::Form::u16 ? store.vocab : 0) {}
  int max_rows() const override { return std::numeric_limits<int>::max(); }
  void begin_window(int index) override { first_row_ = store_.row_begin[index]; }
  void prepare(int, int) override {}
  Row row(int position) override {
    const size_t r = first_row_ + position;
    const RowInfo& info = store_.rows[r];
    if (store_.form == BaseStore::Form::f32) {
      return {store_.f32.data() + r * store_.vocab, info.stats, info.nll};
    }
    const uint16_t* codes = store_.u16.data() + r * store_.vocab;
    for (int i = 0; i < store_.vocab; ++i) {
      scratch_[i] = info.low + info.step * static_cast<float>(codes[i]);
    }
    return {scratch_.data(), info.stats, info.nll};
  }

 private:
  const BaseStore& store_;
  std::vector<float> scratch_;  // [vocab]
  size_t first_row_ = 0;
};

class LiveReader : public BaseReader {
 public:
  LiveReader(Model& model, std::vector<std::span<const int32_t>> windows, int vocab)
      : windows_(std::move(windows)), vocab_(vocab) {
    const auto longest = static_cast<int>(windows_.front().size());
    session_ = model.new_session(1, longest);
    const size_t fitting = kMaxBlockBytes / (sizeof(float) * vocab);
    block_ = std::clamp(static_cast<int>(std::min<size_t>(fitting, longest)), kMinBlockRows,
                        std::max(kMinBlockRows, longest));
    logits_.resize(static_cast<size_t>(block_) * vocab);
  }
  int max_rows() const override { return block_; }
  void begin_window(int index) override {
    window_ = index;
    session_->truncate(0, 0);
  }
  void prepare(int first, int count) override {
    first_ = first;
    session_->prefill(
        0, windows_[window_].subspan(first, count), [&](int position, int n, const float* logits) {
          std::copy_n(logits, static_cast<size_t>(n) * vocab_,
                      logits_.data() + static_cast<size_t>(position - first) * vocab_);
        });
  }
  Row row(int position) override {
    const float* logits = logits_.data() + static_cast<size_t>(position - first_) * vocab_;
    const RowStats stats = row_stats(logits, vocab_);
    check_finite(stats, window_, position);
    return {logits, stats, row_nll(logits, stats, windows_[window_][position + 1])};
  }

 private:
  std::vector<std::span<const int32_t>> windows_;
  int vocab_, block_ = 0, window_ = 0, first_ = 0;
  std::unique_ptr<Session> session_;
  std::vector<float> logits_;  // [block_, vocab]
};

// Runs the base over the windows and keeps every row.
void fill(BaseStore& store, const std::vector<std::span<const int32_t>>& windows,
          const EvalOptions& options, const EvalCallback& progress) {
  const auto rows = static_cast<size_t>(count_rows(windows));
  store.rows.reserve(rows);
  if (store.form == BaseStore::Form::f32) store.f32.reserve(rows * store.vocab);
  if (store.form == BaseStore::Form::u16) store.u16.reserve(rows * store.vocab);
  const auto session = store.model->new_session(1, static_cast<int>(windows.front().size()));
  double nll = 0;
  for (size_t w = 0; w < windows.size(); ++w) {
    if (options.cancel && options.cancel->load()) return;
    const auto window = windows[w];
    session->truncate(0, 0);
    session->prefill(0, window.first(window.size() - 1),
                     [&](int position, int n, const float* logits) {
                       for (int r = 0; r < n; ++r) {
                         store.add_row(logits + static_cast<size_t>(r) * store.vocab,
                                       window[position + r + 1], static_cast<int>(w), position + r);
                         nll += store.rows.back().nll;
                       }
                     });
    store.row_begin.push_back(store.rows.size());
    if (progress) {
      progress({static_cast<int>(w) + 1, static_cast<int>(windows.size()),
                std::exp(nll / static_cast<double>(store.rows.size()))});
    }
  }
}

}  // namespace

BaseLogits::BaseLogits(Model& base, std::span<const int32_t> tokens, const EvalOptions& options,
                       size_t max_bytes, const EvalCallback& progress)
    : store_(std::make_unique<BaseStore>()) {
  const auto windows = eval_windows(base.config(), tokens, options);
  store_->model = &base;
  store_->vocab = base.config().vocab_size;
  store_->row_begin = {0};
  for (const auto& window : windows) {
    store_->tokens.insert(store_->tokens.end(), window.begin(), window.end());
  }
  const size_t elements = static_cast<size_t>(count_rows(windows)) * store_->vocab;
  if (elements * sizeof(float) <= max_bytes)
    store_->form = BaseStore::Form::f32;
  else if (elements * sizeof(uint16_t) <= max_bytes)
    store_->form = BaseStore::Form::u16;
  if (stored()) {
    fill(*store_, windows, options, progress);
    store_->model = nullptr;
  } else {
    store_->row_begin.resize(windows.size() + 1);
  }
}

BaseLogits::~BaseLogits() = default;
BaseLogits::BaseLogits(BaseLogits&&) noexcept = default;
bool BaseLogits::stored() const { return store_->form != BaseStore::Form::live; }
int BaseLogits::windows() const { return store_->windows(); }

std::unique_ptr<BaseReader> BaseAccess::reader(const BaseLogits& base,
                                               const std::vector<std::span<const int32_t>>& windows,
                                               int vocab) {
  const BaseStore& store = *base.store_;
  if (store.vocab != vocab) {
    throw usage_error(
        "base model: its vocabulary has {} tokens, the model's {}; compare models "
        "that share a tokenizer",
        store.vocab, vocab);
  }
  std::vector<int32_t> tokens;
  for (const auto& window : windows) tokens.insert(tokens.end(), window.begin(), window.end());
  if (tokens != store.tokens) {
    throw usage_error(
        "base model: it was measured on other tokens or windows; measure it again, or "
        "give --window N that suits both");
  }
  if (base.stored()) return std::make_unique<StoredReader>(store);
  return std::make_unique<LiveReader>(*store.model, windows, vocab);
}

}  // namespace sentinel
