#include "model/tokenizer/added_tokens.h"

#include <algorithm>
#include <utility>

namespace sentinel {
namespace {

uint8_t first_byte(const AddedToken& token) { return static_cast<uint8_t>(token.content[0]); }

}  // namespace

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    if (first_byte(a) != first_byte(b)) return first_byte(a) < first_byte(b);
    return a.content.size() > b.content.size();
  });
  for (const AddedToken& token : tokens_) ++first_[first_byte(token) + 1];
  for (size_t i = 1; i < first_.size(); ++i) first_[i] += first_[i - 1];
}

AddedTokenMatcher::Match AddedTokenMatcher::find(std::string_view text, size_t begin) const {
  const Match none{text.size(), 0, -1};
  if (tokens_.empty()) return none;
  const bool one_first_byte = first_byte(tokens_.front()) == first_byte(tokens_.back());
  for (size_t i = begin; i < text.size(); ++i) {
    if (one_first_byte) {
      i = text.find(tokens_[0].content[0], i);
      if (i == std::string_view::npos) return none;
    }
    const auto byte = static_cast<uint8_t>(text[i]);
    for (uint32_t t = first_[byte]; t < first_[byte + 1]; ++t) {
      if (text.substr(i).starts_with(tokens_[t].content)) {
        return {i, tokens_[t].content.size(), tokens_[t].id};
      }
    }
  }
  return none;
}

}  // namespace sentinel
