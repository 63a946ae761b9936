#include "model/tokenizer/pretokenizer.h"

#include "model/tokenizer/utf8.h"

namespace sentinel {
namespace {

// Length of the English contraction ('s, 'll, ...) at an apostrophe, or 0.
size_t contraction_length(std::string_view text, size_t begin) {
  const auto at = [&](size_t i) { return begin + i < text.size() ? text[begin + i] : '\0'; };
  switch (at(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return at(2) == 'e' ? 3 : 0;
    case 'l':
      return at(2) == 'l' ? 3 : 0;
    default:
      return 0;
  }
}

}  // namespace

Pretokenizer::Pretokenizer() {
  for (size_t c = 0; c < ascii_.size(); ++c) {
    const bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool is_number = c >= '0' && c <= '9';
    const bool is_space = c == ' ' || (c >= '\t' && c <= '\r');
    ascii_[c] = is_letter   ? CharClass::letter
                : is_number ? CharClass::number
                : is_space  ? CharClass::space
                            : CharClass::other;
  }
}

inline Pretokenizer::Char Pretokenizer::char_at(std::string_view text, size_t position) const {
  const auto byte = static_cast<uint8_t>(text[position]);
  if (byte < 0x80) return {ascii_[byte], 1};
  const Utf8Char c = decode_utf8(text.data() + position, text.size() - position);
  if (c.code_point == kInvalidCodePoint) return {CharClass::other, 1};
  return {UnicodeClasses::get()[c.code_point], c.length};
}

inline size_t Pretokenizer::run_end(std::string_view text, size_t position,
                                    CharClass char_class) const {
  while (position < text.size()) {
    const Char c = char_at(text, position);
    if (c.char_class != char_class) break;
    position += c.length;
  }
  return position;
}

// \s+(?!\S)|\s+ : a run of spaces leaves its last character to the word that follows it.
size_t Pretokenizer::space_piece_end(std::string_view text, size_t begin) const {
  size_t last = begin;
  size_t end = begin;
  while (end < text.size()) {
    const Char c = char_at(text, end);
    if (c.char_class != CharClass::space) break;
    last = end;
    end += c.length;
  }
  return end == text.size() || last == begin ? end : last;
}

size_t Pretokenizer::piece_end(std::string_view text, size_t begin) const {
  if (text[begin] == '\'') {
    if (const size_t length = contraction_length(text, begin)) return begin + length;
  }
  const size_t word = text[begin] == ' ' ? begin + 1 : begin;
  if (word == text.size()) return word;
  const Char first = char_at(text, word);
  if (first.char_class == CharClass::space) return space_piece_end(text, begin);
  return run_end(text, word + first.length, first.char_class);
}

}  // namespace sentinel
