// Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace sentinel {

constexpr uint32_t kMaxCodePoint = 0x10FFFF;
constexpr uint32_t kInvalidCodePoint = 0xFFFFFFFF;

struct Utf8Char {
  uint32_t code_point;  // kInvalidCodePoint for a byte that starts no valid character
  uint32_t length;      // bytes; 1 for an invalid byte
};

namespace utf8_internal {

// Length of the character that `lead` starts (0: none), and the allowed range of its second byte.
struct Lead {
  uint32_t length;
  uint8_t second_min, second_max;
};
inline Lead classify_lead(uint8_t lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead < 0xF0) {
    return {3, static_cast<uint8_t>(lead == 0xE0 ? 0xA0 : 0x80),
            static_cast<uint8_t>(lead == 0xED ? 0x9F : 0xBF)};
  }
  if (lead < 0xF5) {
    return {4, static_cast<uint8_t>(lead == 0xF0 ? 0x90 : 0x80),
            static_cast<uint8_t>(lead == 0xF4 ? 0x8F : 0xBF)};
  }
  return {0, 0, 0};
}

}  // namespace utf8_internal

// The first character of [p, p + size), size >= 1.
inline Utf8Char decode_utf8(const char* p, size_t size) {
  const auto byte = [p](size_t i) { return static_cast<uint8_t>(p[i]); };
  const auto lead = utf8_internal::classify_lead(byte(0));
  if (lead.length == 1) return {byte(0), 1};
  if (lead.length == 0 || lead.length > size || byte(1) < lead.second_min ||
      byte(1) > lead.second_max) {
    return {kInvalidCodePoint, 1};
  }
  uint32_t code_point = (byte(0) & (0x7Fu >> lead.length)) << 6 | (byte(1) & 0x3Fu);
  for (uint32_t i = 2; i < lead.length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {kInvalidCodePoint, 1};
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
  }
  return {code_point, lead.length};
}

// True if more bytes can make the `size` >= 1 bytes at `p` one valid character.
inline bool is_utf8_prefix(const char* p, size_t size) {
  const auto byte = [p](size_t i) { return static_cast<uint8_t>(p[i]); };
  const auto lead = utf8_internal::classify_lead(byte(0));
  if (lead.length <= size) return false;
  if (size > 1 && (byte(1) < lead.second_min || byte(1) > lead.second_max)) return false;
  return size < 3 || (byte(2) & 0xC0) == 0x80;
}

inline void append_utf8(std::string& out, uint32_t code_point) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

}  // namespace sentinel
