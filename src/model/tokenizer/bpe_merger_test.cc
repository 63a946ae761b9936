#include "model/tokenizer/bpe_merger.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

#include "base/rng.h"

namespace sentinel {
namespace {

using Ids = std::vector<int32_t>;

std::array<int32_t, 256> identity_bytes() {
  std::array<int32_t, 256> ids;
  for (int i = 0; i < 256; ++i) ids[static_cast<size_t>(i)] = i;
  return ids;
}

// The definition, word for word: scan for the lowest rank, merge its leftmost place, again.
Ids encode_naively(const std::string& piece, const std::vector<MergeRule>& rules) {
  std::map<std::pair<int32_t, int32_t>, size_t> rank;
  for (size_t i = 0; i < rules.size(); ++i) rank[{rules[i].left, rules[i].right}] = i;
  Ids ids;
  for (const char c : piece) ids.push_back(static_cast<uint8_t>(c));
  while (true) {
    size_t best = rules.size(), at = 0;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = rank.find({ids[i], ids[i + 1]});
      if (found != rank.end() && found->second < best) best = found->second, at = i;
    }
    if (best == rules.size()) return ids;
    ids[at] = rules[best].result;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(at) + 1);
  }
}

// Rules over a small alphabet in random order, also such that use a token before it is made.
std::vector<MergeRule> random_rules(Rng& rng, size_t n_rules) {
  std::vector<MergeRule> rules;
  std::vector<int32_t> tokens = {'a', 'b', 'c'};
  for (size_t i = 0; i < n_rules; ++i) {
    const auto result = static_cast<int32_t>(256 + i);
    rules.push_back({tokens[rng.below(tokens.size())], tokens[rng.below(tokens.size())], result});
    tokens.push_back(result);
  }
  for (size_t i = rules.size(); i > 1; --i) std::swap(rules[i - 1], rules[rng.below(i)]);
  return rules;
}

TEST(BpeMerger, BothWaysFollowTheDefinition) {
  Rng rng(3);
  for (int round = 0; round < 400; ++round) {
    const auto rules = random_rules(rng, rng.below(30));
    const BpeMerger merger(identity_bytes(), rules);
    for (int i = 0; i < 20; ++i) {
      std::string piece(1 + rng.below(BpeMerger::kShort), 'a');
      for (char& c : piece) c = static_cast<char>('a' + rng.below(3));
      const Ids expected = encode_naively(piece, rules);
      Ids from_short, from_long;
      merger.encode_short(piece, from_short);
      merger.encode_long(piece, from_long);
      ASSERT_EQ(from_short, expected) << piece;
      ASSERT_EQ(from_long, expected) << piece;
    }
  }
}

TEST(BpeMerger, LongPiecesFollowTheDefinition) {
  Rng rng(4);
  for (int round = 0; round < 20; ++round) {
    const auto rules = random_rules(rng, 25);
    const BpeMerger merger(identity_bytes(), rules);
    std::string piece(BpeMerger::kShort + rng.below(600), 'a');
    for (char& c : piece) c = static_cast<char>('a' + rng.below(3));
    Ids ids;
    merger.encode(piece, ids);
    ASSERT_EQ(ids, encode_naively(piece, rules));
  }
}

TEST(BpeMerger, AppendsAndTakesTheEmptyPiece) {
  const BpeMerger merger(identity_bytes(), {});
  Ids ids = {7};
  merger.encode("", ids);
  merger.encode_long("", ids);
  merger.encode("a", ids);
  EXPECT_EQ(ids, (Ids{7, 'a'}));
}

TEST(BpeMerger, LaterRuleForAPairCounts) {
  const BpeMerger merger(identity_bytes(), {{'a', 'b', 256}, {'b', 'c', 257}, {'a', 'b', 256}});
  Ids ids;
  merger.encode("abc", ids);
  EXPECT_EQ(ids, (Ids{'a', 257}));
}

}  // namespace
}  // namespace sentinel
