#include "model/tokenizer/pretokenizer.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <gtest/gtest.h>
#include <pcre2.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/tokenizer/tiny_tokenizer_for_test.h"

namespace sentinel {
namespace {

// The published pattern run by PCRE2 (with Unicode's White_Space for \s, see unicode_classes.cc).
class PatternSplitter {
 public:
  PatternSplitter() {
    const std::string pattern =
        R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?(?:[^\s\p{L}\p{N}]|\x{180e})+)"
        R"(|(?:(?!\x{180e})\s)+(?!(?:\S|\x{180e}))|(?:(?!\x{180e})\s)+)";
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                              PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr));
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }

  // Ends of the pieces of valid UTF-8.
  std::vector<size_t> split(const std::string& text) const {
    std::vector<size_t> ends;
    size_t begin = 0;
    while (begin < text.size()) {
      const int n = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(),
                                begin, PCRE2_ANCHORED, match_.get(), nullptr);
      if (n < 1) {
        ADD_FAILURE() << "PCRE2 says " << n << " at " << begin;
        break;
      }
      begin = pcre2_get_ovector_pointer(match_.get())[1];
      ends.push_back(begin);
    }
    return ends;
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
};

std::vector<size_t> split(const Pretokenizer& pretokenizer, const std::string& text) {
  std::vector<size_t> ends;
  for (size_t begin = 0; begin < text.size(); begin = ends.back()) {
    ends.push_back(pretokenizer.piece_end(text, begin));
    if (ends.back() <= begin) break;
  }
  return ends;
}

TEST(Pretokenizer, EqualsThePatternOnRandomText) {
  const PatternSplitter pattern;
  const Pretokenizer pretokenizer;
  Rng rng(1);
  for (int i = 0; i < 3000; ++i) {
    const std::string text = tiny::random_text(rng, 1 + rng.below(60), false);
    ASSERT_EQ(split(pretokenizer, text), pattern.split(text)) << "text " << i << ": " << text;
  }
}

TEST(Pretokenizer, EqualsThePatternOnEachCharacterInContext) {
  const PatternSplitter pattern;
  const Pretokenizer pretokenizer;
  for (uint32_t c = 0; c <= kMaxCodePoint; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    if (c >= 0x30000 && c % 17 != 0) continue;  // nearly all unassigned
    std::string text = "a ";
    append_utf8(text, c);
    append_utf8(text, c);
    text += "b1";
    append_utf8(text, c);
    text += "!";
    append_utf8(text, c);
    ASSERT_EQ(split(pretokenizer, text), pattern.split(text)) << "U+" << std::hex << c;
  }
}

// An invalid byte behaves like a symbol: put one in its place and compare.
TEST(Pretokenizer, InvalidBytesAreSymbols) {
  const PatternSplitter pattern;
  const Pretokenizer pretokenizer;
  Rng rng(2);
  for (int i = 0; i < 2000; ++i) {
    const std::string text = tiny::random_text(rng, 1 + rng.below(40), true);
    std::string replaced;
    std::vector<size_t> original_offset(1, 0);  // [offset in replaced]
    for (size_t at = 0; at < text.size();) {
      const Utf8Char c = decode_utf8(text.data() + at, text.size() - at);
      if (c.code_point == kInvalidCodePoint) {
        replaced += '#';
      } else {
        replaced += text.substr(at, c.length);
      }
      at += c.length;
      original_offset.resize(replaced.size() + 1, at);
    }
    std::vector<size_t> expected;
    for (const size_t end : pattern.split(replaced)) expected.push_back(original_offset[end]);
    ASSERT_EQ(split(pretokenizer, text), expected) << i;
  }
}

TEST(UnicodeClasses, SpacesAreUnicodesWhiteSpace) {
  std::set<uint32_t> expected = {0x20, 0x85, 0xA0, 0x1680, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000};
  for (uint32_t c = 0x9; c <= 0xD; ++c) expected.insert(c);
  for (uint32_t c = 0x2000; c <= 0x200A; ++c) expected.insert(c);
  std::set<uint32_t> spaces;
  for (uint32_t c = 0; c <= kMaxCodePoint; ++c) {
    if (UnicodeClasses::get()[c] == CharClass::space) spaces.insert(c);
  }
  EXPECT_EQ(spaces, expected);
}

TEST(UnicodeClasses, LettersAndNumbers) {
  const UnicodeClasses& classes = UnicodeClasses::get();
  for (const uint32_t c : {0x41u, 0x7Au, 0xE9u, 0x416u, 0x4E2Du, 0xAC00u, 0x1D400u, 0x2FA1Du}) {
    EXPECT_EQ(classes[c], CharClass::letter) << std::hex << c;
  }
  for (const uint32_t c : {0x30u, 0xB2u, 0xBDu, 0x663u, 0x2162u, 0x1D7CEu}) {
    EXPECT_EQ(classes[c], CharClass::number) << std::hex << c;
  }
  for (const uint32_t c : {0x0u, 0x21u, 0x7Fu, 0x301u, 0x180Eu, 0x200Bu, 0xFEFFu, 0x1F600u}) {
    EXPECT_EQ(classes[c], CharClass::other) << std::hex << c;
  }
}

}  // namespace
}  // namespace sentinel
