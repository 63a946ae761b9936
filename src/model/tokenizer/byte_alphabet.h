// The printable characters by which GPT-2's vocabulary files write bytes: bytes that are printable
// in Latin-1 stand for themselves, the others are shifted to U+0100 and on (space: U+0120 'Ġ').
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sentinel {

class ByteAlphabet {
 public:
  ByteAlphabet();

  // The bytes that `token` writes, or nothing if a character is not in the alphabet.
  std::optional<std::string> to_bytes(std::string_view token) const;
  // How the alphabet writes one byte.
  std::string to_text(uint8_t byte) const;

 private:
  std::array<uint16_t, 256> character_;  // [byte] code point
  std::array<int16_t, 512> byte_;        // [code point] byte or -1
};

}  // namespace sentinel
