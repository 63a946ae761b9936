#include "model/tokenizer/unicode_classes.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/tokenizer/utf8.h"

namespace sentinel {
namespace {

using Code = std::unique_ptr<pcre2_code, decltype(&pcre2_code_free)>;
using MatchData = std::unique_ptr<pcre2_match_data, decltype(&pcre2_match_data_free)>;

// One group per class, in the order letter, number, space; `[^...]` lets one match leap over the
// hundreds of thousands of other code points. Possessive loops need no backtracking memory.
constexpr std::string_view kPattern = R"((\p{L}++)|(\p{N}++)|(\s++)|(?:[^\p{L}\p{N}\s]++))";

Code compile() {
  int error = 0;
  PCRE2_SIZE offset = 0;
  Code code(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(kPattern.data()), kPattern.size(),
                          PCRE2_UTF | PCRE2_UCP, &error, &offset, nullptr),
            pcre2_code_free);
  if (!code) throw runtime_error("PCRE2 cannot compile Unicode classes (error {})", error);
  pcre2_jit_compile(code.get(), PCRE2_JIT_COMPLETE);  // merely faster; may be missing
  return code;
}

std::string all_code_points() {
  std::string text;
  text.reserve(size_t{4} * (kMaxCodePoint + 1));
  for (uint32_t c = 0; c <= kMaxCodePoint; ++c) {
    if (c < 0xD800 || c > 0xDFFF) append_utf8(text, c);
  }
  return text;
}

// The class of each code point.
std::vector<CharClass> classify_all() {
  std::vector<CharClass> classes(kMaxCodePoint + 1, CharClass::other);
  const Code code = compile();
  const MatchData match(pcre2_match_data_create_from_pattern(code.get(), nullptr),
                        pcre2_match_data_free);
  if (!match) throw runtime_error("PCRE2: out of memory");
  const std::string text = all_code_points();
  const auto code_point_at = [&text](size_t offset) {
    return offset == text.size()
               ? kMaxCodePoint + 1
               : decode_utf8(text.data() + offset, text.size() - offset).code_point;
  };
  for (size_t begin = 0; begin < text.size();) {
    const int n_groups =
        pcre2_match(code.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), begin,
                    PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, match.get(), nullptr);
    if (n_groups < 1) throw runtime_error("PCRE2 cannot classify characters (error {})", n_groups);
    const size_t end = pcre2_get_ovector_pointer(match.get())[1];
    std::fill(classes.begin() + code_point_at(begin), classes.begin() + code_point_at(end),
              static_cast<CharClass>(n_groups - 1));
    begin = end;
  }
  // PCRE2's \s still holds the Mongolian vowel separator, which left White_Space in Unicode 6.3.
  classes[0x180E] = CharClass::other;
  return classes;
}

}  // namespace

UnicodeClasses::UnicodeClasses() {
  const std::vector<CharClass> classes = classify_all();
  std::map<std::vector<CharClass>, uint16_t> known;
  for (auto block = classes.begin(); block != classes.end(); block += kBlock) {
    const auto [entry, is_new] = known.try_emplace(std::vector<CharClass>(block, block + kBlock),
                                                   static_cast<uint16_t>(known.size()));
    if (is_new) blocks_.insert(blocks_.end(), block, block + kBlock);
    index_.push_back(entry->second);
  }
}

const UnicodeClasses& UnicodeClasses::get() {
  static const UnicodeClasses classes;
  return classes;
}

}  // namespace sentinel
