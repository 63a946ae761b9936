// Byte-pair merging of one piece of text.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sentinel {

struct MergeRule {
  int32_t left, right, result;  // token ids
};

// Starts from the piece's bytes and applies the lowest-ranked rule, leftmost first, until none
// applies (Sennrich et al., 2016). Const after construction, so safe to share between threads.
class BpeMerger {
 public:
  // `rules` in order of rank. Of two rules for the same pair the later one counts.
  BpeMerger(const std::array<int32_t, 256>& byte_ids, const std::vector<MergeRule>& rules);

  // Appends the ids of `piece` (below 2^31 bytes) to `ids`.
  void encode(std::string_view piece, std::vector<int32_t>& ids) const {
    piece.size() <= kShort ? encode_short(piece, ids) : encode_long(piece, ids);
  }

  // The two ways it is done; equal in result, apart for tests. O(n^2) on the stack, n <= kShort:
  void encode_short(std::string_view piece, std::vector<int32_t>& ids) const;
  // O(n log n) with a linked list and a heap:
  void encode_long(std::string_view piece, std::vector<int32_t>& ids) const;

  static constexpr size_t kShort = 48;

 private:
  static constexpr uint32_t kNoRank = 0xFFFFFFFF;
  struct Slot {
    int32_t left = -1, right = -1;
    uint32_t rank = kNoRank;
    int32_t result = -1;
  };
  class Chain;

  size_t slot_of(int32_t left, int32_t right) const {
    const uint64_t key =
        static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
    return (key * 0x9E3779B97F4A7C15ULL) >> shift_;
  }
  // The pair's slot, or an empty one (rank kNoRank).
  const Slot& find(int32_t left, int32_t right) const {
    size_t i = slot_of(left, right);
    while (slots_[i].left != -1 && (slots_[i].left != left || slots_[i].right != right)) {
      i = (i + 1) & (slots_.size() - 1);
    }
    return slots_[i];
  }

  std::array<int32_t, 256> byte_ids_;
  std::vector<Slot> slots_;  // open addressing, at most half full, a power of two
  int shift_ = 0;
};

}  // namespace sentinel
