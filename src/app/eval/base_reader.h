// Internal to eval: how the rows of a BaseLogits are handed out beside those of a variant.
#pragma once

#include <memory>
#include <span>

#include "app/eval/eval.h"
#include "base/log_softmax.h"

namespace sentinel {

class BaseReader {
 public:
  virtual ~BaseReader() = default;
  // Rows that can be held at once: the variant has to run in blocks of at most this many.
  virtual int max_rows() const = 0;
  virtual void begin_window(int index) = 0;
  // Makes the rows of positions [first, first + count) of the window ready.
  virtual void prepare(int first, int count) = 0;

  struct Row {
    const float* logits;  // [vocab]; up to a constant
    RowStats stats;
    double nll;  // of the window's next token, nats
  };
  virtual Row row(int position) = 0;  // valid until the next call
};

struct BaseAccess {
  // Error (usage): the base was measured on other windows, or has another vocabulary.
  static std::unique_ptr<BaseReader> reader(const BaseLogits& base,
                                            const std::vector<std::span<const int32_t>>& windows,
                                            int vocab);
};

// Error (runtime) unless the row is finite.
void check_finite(const RowStats& stats, int window, int position);

}  // namespace sentinel
