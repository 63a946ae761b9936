#include "model/tokenizer/bpe_merger.h"

#include <algorithm>
#include <bit>

namespace sentinel {

BpeMerger::BpeMerger(const std::array<int32_t, 256>& byte_ids, const std::vector<MergeRule>& rules)
    : byte_ids_(byte_ids) {
  slots_.resize(std::bit_ceil(2 * rules.size() + 2));
  shift_ = 64 - std::countr_zero(slots_.size());
  for (uint32_t rank = 0; rank < rules.size(); ++rank) {
    const MergeRule& rule = rules[rank];
    const_cast<Slot&>(find(rule.left, rule.right)) = {rule.left, rule.right, rank, rule.result};
  }
}

void BpeMerger::encode_short(std::string_view piece, std::vector<int32_t>& ids) const {
  int32_t token[kShort];
  const Slot* rule[kShort];  // for token i and i + 1
  size_t n = piece.size();
  for (size_t i = 0; i < n; ++i) token[i] = byte_ids_[static_cast<uint8_t>(piece[i])];
  for (size_t i = 0; i + 1 < n; ++i) rule[i] = &find(token[i], token[i + 1]);
  while (n > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < n; ++i) {
      if (rule[i]->rank < rule[best]->rank) best = i;
    }
    if (rule[best]->rank == kNoRank) break;
    token[best] = rule[best]->result;
    --n;
    std::copy(token + best + 2, token + n + 1, token + best + 1);
    if (best + 1 < n) {
      std::copy(rule + best + 2, rule + n, rule + best + 1);
      rule[best] = &find(token[best], token[best + 1]);
    }
    if (best > 0) rule[best - 1] = &find(token[best - 1], token[best]);
  }
  ids.insert(ids.end(), token, token + n);
}

// The tokens of a long piece as a doubly linked list, and a heap of the merges that can be made.
// A heap entry whose two tokens have changed meanwhile is dropped when it comes up.
class BpeMerger::Chain {
 public:
  Chain(const BpeMerger& merger, std::string_view piece) : merger_(merger), links_(piece.size()) {
    const auto n = static_cast<uint32_t>(piece.size());
    for (uint32_t i = 0; i < n; ++i) {
      links_[i] = {merger.byte_ids_[static_cast<uint8_t>(piece[i])], i - 1, i + 1};
    }
    links_[n - 1].next = kNone;
    for (uint32_t i = 0; i + 1 < n; ++i) push(i);
    std::make_heap(heap_.begin(), heap_.end());
    in_order_ = true;
  }

  void merge_all() {
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end());
      const Candidate candidate = heap_.back();
      heap_.pop_back();
      Link& left = links_[candidate.position];
      if (left.token != candidate.slot->left || left.next == kNone) continue;
      Link& right = links_[left.next];
      if (right.token != candidate.slot->right) continue;
      left.token = candidate.slot->result;
      right.token = -1;
      left.next = right.next;
      if (left.next != kNone) {
        links_[left.next].previous = candidate.position;
        push(candidate.position);
      }
      if (left.previous != kNone) push(left.previous);
    }
  }

  void append_to(std::vector<int32_t>& ids) const {
    for (uint32_t i = 0; i != kNone; i = links_[i].next) ids.push_back(links_[i].token);
  }

 private:
  static constexpr uint32_t kNone = 0xFFFFFFFF;
  struct Link {
    int32_t token;  // -1: merged into its left neighbour
    uint32_t previous, next;
  };
  struct Candidate {
    const Slot* slot;
    uint32_t rank;
    uint32_t position;
    // The standard heap keeps its largest on top: the lowest rank, then the leftmost.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  void push(uint32_t position) {
    const Link& left = links_[position];
    const Slot& slot = merger_.find(left.token, links_[left.next].token);
    if (slot.rank == kNoRank) return;
    heap_.push_back({&slot, slot.rank, position});
    if (in_order_) std::push_heap(heap_.begin(), heap_.end());
  }

  const BpeMerger& merger_;
  std::vector<Link> links_;
  std::vector<Candidate> heap_;
  bool in_order_ = false;  // false while the heap is filled for the first time
};

void BpeMerger::encode_long(std::string_view piece, std::vector<int32_t>& ids) const {
  if (piece.empty()) return;
  Chain chain(*this, piece);
  chain.merge_all();
  chain.append_to(ids);
}

}  // namespace sentinel
