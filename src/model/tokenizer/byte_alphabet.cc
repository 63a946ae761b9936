#include "model/tokenizer/byte_alphabet.h"

#include "model/tokenizer/utf8.h"

namespace sentinel {

ByteAlphabet::ByteAlphabet() {
  byte_.fill(-1);
  uint16_t shifted = 256;
  for (uint16_t byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    character_[byte] = printable ? byte : shifted++;
    byte_[character_[byte]] = static_cast<int16_t>(byte);
  }
}

std::optional<std::string> ByteAlphabet::to_bytes(std::string_view token) const {
  std::string bytes;
  bytes.reserve(token.size());
  for (size_t i = 0; i < token.size();) {
    const Utf8Char c = decode_utf8(token.data() + i, token.size() - i);
    if (c.code_point >= byte_.size() || byte_[c.code_point] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(byte_[c.code_point]));
    i += c.length;
  }
  return bytes;
}

std::string ByteAlphabet::to_text(uint8_t byte) const {
  std::string text;
  append_utf8(text, character_[byte]);
  return text;
}

}  // namespace sentinel
