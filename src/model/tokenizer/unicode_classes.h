// The character classes that GPT-2's pre-tokeniser tells apart.
#pragma once

#include <cstdint>
#include <vector>

namespace sentinel {

enum class CharClass : uint8_t { other, letter, number, space };

// Two-stage table over all code points, taken from PCRE2's Unicode data: \p{L}, \p{N}, and
// White_Space. Error (runtime) from the constructor if PCRE2 fails.
class UnicodeClasses {
 public:
  UnicodeClasses();

  // code_point <= kMaxCodePoint.
  CharClass operator[](uint32_t code_point) const {
    return blocks_[index_[code_point / kBlock] * kBlock + code_point % kBlock];
  }

  // Constant data: built at the first call (some 20 ms), never changed, shared by all threads.
  static const UnicodeClasses& get();

 private:
  static constexpr uint32_t kBlock = 256;
  std::vector<uint16_t> index_;    // [code points / kBlock] number of the block
  std::vector<CharClass> blocks_;  // [n_blocks * kBlock] different blocks only
};

}  // namespace sentinel
