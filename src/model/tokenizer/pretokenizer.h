// GPT-2's pre-tokeniser: cuts text into the pieces that byte-pair merges never cross.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "model/tokenizer/unicode_classes.h"

namespace sentinel {

// The same pieces as the regular expression
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
// but in one pass without backtracking, on any bytes: a byte that belongs to no valid UTF-8
// character counts as one character that is neither letter nor number nor space.
class Pretokenizer {
 public:
  Pretokenizer();

  // The end of the piece that starts at `begin` < text.size().
  size_t piece_end(std::string_view text, size_t begin) const;

 private:
  struct Char {
    CharClass char_class;
    size_t length;
  };
  Char char_at(std::string_view text, size_t position) const;
  size_t run_end(std::string_view text, size_t position, CharClass char_class) const;
  size_t space_piece_end(std::string_view text, size_t begin) const;

  // A table of its own, so that ASCII text does not wait for the Unicode data to be built.
  std::array<CharClass, 128> ascii_;
};

}  // namespace sentinel
