#include <array>
#include <limits>
#include <memory>
#include <utility>

#include "base/error.h"
#include "model/tokenizer/added_tokens.h"
#include "model/tokenizer/bpe_merger.h"
#include "model/tokenizer/bpe_spec.h"
#include "model/tokenizer/pretokenizer.h"
#include "model/tokenizer/tokenizer.h"
#include "model/tokenizer/vocabulary.h"

namespace sentinel {
namespace {

// Added tokens that are looked for in the text, in two passes as Hugging Face does it.
std::array<AddedTokenMatcher, 2> make_matchers(const std::vector<AddedToken>& tokens,
                                               bool with_special) {
  std::vector<AddedToken> pass[2];
  for (const AddedToken& token : tokens) {
    if (!token.special || with_special) pass[token.normalized ? 1 : 0].push_back(token);
  }
  return {AddedTokenMatcher(std::move(pass[0])), AddedTokenMatcher(std::move(pass[1]))};
}

class BpeTokenizer final : public Tokenizer {
 public:
  explicit BpeTokenizer(const BpeSpec& spec)
      : vocabulary_(spec),
        merger_(vocabulary_.byte_ids, vocabulary_.merges),
        whole_pieces_(vocabulary_),
        ordinary_matchers_(make_matchers(spec.added_tokens, false)),
        special_matchers_(make_matchers(spec.added_tokens, true)),
        add_prefix_space_(spec.add_prefix_space) {
    whole_pieces_.insert(find_whole_pieces(spec.ignore_merges));
  }

  int vocab_size() const override { return static_cast<int>(vocabulary_.size()); }

  std::vector<int32_t> encode(std::string_view text, bool parse_special) const override {
    constexpr size_t kMaxBytes = std::numeric_limits<int32_t>::max() - 1;
    if (text.size() > kMaxBytes) {
      throw usage_error(
          "a text of {} bytes is more than the tokenizer's limit of {}; encode it in "
          "parts",
          text.size(), kMaxBytes);
    }
    std::vector<int32_t> ids;
    ids.reserve(text.size() / 3 + 1);
    encode_pass(text, parse_special ? special_matchers_ : ordinary_matchers_, 0, ids);
    return ids;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) text += token_bytes(id);
    return text;
  }

  std::string_view token_bytes(int32_t id) const override {
    return vocabulary_.bytes_of(checked(id));
  }

  bool is_special(int32_t id) const override {
    return vocabulary_.is_special[static_cast<size_t>(checked(id))];
  }

 private:
  int32_t checked(int32_t id) const {
    if (id < 0 || id >= vocab_size()) {
      throw usage_error("token id {} is outside the vocabulary of {} tokens (0 to {})", id,
                        vocab_size(), vocab_size() - 1);
    }
    return id;
  }

  // The tokens that the merges make of their own bytes: most words of ordinary text are such, and
  // one look-up replaces the merging.
  std::vector<int32_t> find_whole_pieces(bool ignore_merges) const {
    std::vector<int32_t> whole;
    std::vector<int32_t> ids;
    for (int32_t id = 0; id < vocab_size(); ++id) {
      if (!vocabulary_.is_ordinary[static_cast<size_t>(id)]) continue;
      ids.clear();
      if (!ignore_merges) merger_.encode(vocabulary_.bytes_of(id), ids);
      if (ignore_merges || (ids.size() == 1 && ids[0] == id)) whole.push_back(id);
    }
    return whole;
  }

  void encode_pass(std::string_view text, const std::array<AddedTokenMatcher, 2>& matchers,
                   size_t pass, std::vector<int32_t>& ids) const {
    if (pass == matchers.size()) return encode_pieces(text, ids);
    for (size_t begin = 0; begin < text.size();) {
      const auto match = matchers[pass].find(text, begin);
      encode_pass(text.substr(begin, match.begin - begin), matchers, pass + 1, ids);
      if (match.length > 0) ids.push_back(match.id);
      begin = match.begin + match.length;
    }
  }

  void encode_pieces(std::string_view text, std::vector<int32_t>& ids) const {
    std::string prefixed;
    if (add_prefix_space_ && !text.empty() && text[0] != ' ') {
      prefixed.reserve(text.size() + 1);
      text = prefixed.append(" ").append(text);
    }
    for (size_t begin = 0; begin < text.size();) {
      const size_t end = pretokenizer_.piece_end(text, begin);
      const std::string_view piece = text.substr(begin, end - begin);
      if (const int32_t id = whole_pieces_.find(piece); id >= 0) {
        ids.push_back(id);
      } else {
        merger_.encode(piece, ids);
      }
      begin = end;
    }
  }

  const Vocabulary vocabulary_;
  const BpeMerger merger_;
  const Pretokenizer pretokenizer_;
  TokenIndex whole_pieces_;
  const std::array<AddedTokenMatcher, 2> ordinary_matchers_;  // [pass]
  const std::array<AddedTokenMatcher, 2> special_matchers_;
  const bool add_prefix_space_;
};

}  // namespace

std::unique_ptr<Tokenizer> make_bpe_tokenizer(const BpeSpec& spec) {
  return std::make_unique<BpeTokenizer>(spec);
}

}  // namespace sentinel
