// A tokenizer of 256 bytes, a few merges and one special token, as its files would say it.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "model/tokenizer/byte_alphabet.h"
#include "model/tokenizer/utf8.h"

namespace sentinel::tiny {

inline const std::vector<std::pair<std::string, std::string>> kMerges = {
    {"h", "e"}, {"l", "l"}, {"he", "ll"}, {"hell", "o"}, {"Ġ", "hello"}, {"a", "a"}, {"aa", "aa"}};

inline nlohmann::json vocab() {
  nlohmann::json vocab;
  const ByteAlphabet alphabet;
  for (int byte = 0; byte < 256; ++byte) {
    vocab[alphabet.to_text(static_cast<uint8_t>(byte))] = byte;
  }
  for (const auto& [left, right] : kMerges) vocab[left + right] = vocab.size();
  vocab["<|end|>"] = vocab.size();
  return vocab;
}

inline std::string merges_text() {
  std::string text = "#version: 0.2\n";
  for (const auto& [left, right] : kMerges) text += left + " " + right + "\n";
  return text;
}

inline nlohmann::json tokenizer_json() {
  nlohmann::json merges = nlohmann::json::array();
  for (const auto& [left, right] : kMerges) merges.push_back(left + " " + right);
  const nlohmann::json end = {
      {"id", vocab()["<|end|>"]}, {"content", "<|end|>"}, {"special", true}};
  return {{"added_tokens", {end}},
          {"normalizer", nullptr},
          {"pre_tokenizer", {{"type", "ByteLevel"}, {"add_prefix_space", false}}},
          {"model", {{"type", "BPE"}, {"vocab", vocab()}, {"merges", merges}}}};
}

// Random characters of all planes and kinds, mixed with plain words and invalid bytes.
inline std::string random_text(Rng& rng, size_t n_parts, bool with_invalid) {
  static constexpr uint32_t kStarts[] = {0x20,   0x41,   0x61,   0x30,   0x9,    0x80,   0xA0,
                                         0x300,  0x400,  0x660,  0x1680, 0x180E, 0x2000, 0x2028,
                                         0x3000, 0x4E00, 0xAC00, 0xFEFF, 0x1F600};
  static constexpr const char* kWords[] = {"'s", "'ll", "'re", "'", " the", " a", "  ", "\n", "42"};
  std::string text;
  for (size_t i = 0; i < n_parts; ++i) {
    switch (rng.below(with_invalid ? 5 : 4)) {
      case 0:
        append_utf8(text, kStarts[rng.below(std::size(kStarts))] + rng.below(12));
        break;
      case 1:
        text += kWords[rng.below(std::size(kWords))];
        break;
      case 2:
        text += static_cast<char>(rng.below(128));
        break;
      case 3: {
        const auto c = static_cast<uint32_t>(rng.below(kMaxCodePoint + 1));
        append_utf8(text, c >= 0xD800 && c <= 0xDFFF ? 'x' : c);
        break;
      }
      default:
        text += static_cast<char>(0x80 + rng.below(128));
    }
  }
  return text;
}

inline std::string random_bytes(Rng& rng, size_t n) {
  std::string bytes(n, '\0');
  for (char& byte : bytes) byte = static_cast<char>(rng.below(256));
  return bytes;
}

}  // namespace sentinel::tiny
