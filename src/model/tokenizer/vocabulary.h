// The checked vocabulary: bytes of every token, and the way back.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/tokenizer/bpe_merger.h"
#include "model/tokenizer/bpe_spec.h"

namespace sentinel {

struct Vocabulary {
  // Error (bad_input) unless ids run from 0 without gaps, every byte has a token and every merge
  // joins two tokens into a third.
  explicit Vocabulary(const BpeSpec& spec);

  size_t size() const { return offsets.size() - 1; }
  std::string_view bytes_of(int32_t id) const {
    const auto i = static_cast<size_t>(id);
    return {bytes.data() + offsets[i], offsets[i + 1] - offsets[i]};
  }

  std::string bytes;              // of all tokens, one after the other
  std::vector<size_t> offsets;    // [n_tokens + 1] into bytes
  std::vector<bool> is_special;   // [n_tokens]
  std::vector<bool> is_ordinary;  // [n_tokens] in the model's own vocabulary, not merely added
  std::array<int32_t, 256> byte_ids;
  std::vector<MergeRule> merges;  // by rank
};

// Finds a token by its bytes.
class TokenIndex {
 public:
  explicit TokenIndex(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {}

  void insert(const std::vector<int32_t>& ids);
  // The token's id, or -1.
  int32_t find(std::string_view bytes) const;

 private:
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };
  const Vocabulary& vocabulary_;
  std::vector<Slot> slots_;  // open addressing, at most half full, a power of two
  size_t longest_ = 0;       // bytes
};

}  // namespace sentinel
