#include "random_tokenizer.h"

#include <nlohmann/json.hpp>
#include <vector>

namespace sentinel {
namespace {

void append_utf8(std::string& text, unsigned code) {  // code < 0x800
  if (code < 0x80) {
    text += static_cast<char>(code);
    return;
  }
  text += static_cast<char>(0xc0 | (code >> 6));
  text += static_cast<char>(0x80 | (code & 0x3f));
}

// GPT-2 writes each byte as a visible character: printable Latin-1 stands for itself, the 68 other
// bytes are numbered from U+0100 on. The visible ones come first in the vocabulary.
std::vector<std::string> byte_tokens() {
  const auto is_visible = [](unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  };
  std::vector<std::string> tokens;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (is_visible(byte)) append_utf8(tokens.emplace_back(), byte);
  }
  unsigned next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    if (!is_visible(byte)) append_utf8(tokens.emplace_back(), next++);
  }
  return tokens;
}

}  // namespace

TokenizerFiles make_tokenizer(int vocab_size) {
  std::vector<std::string> tokens = byte_tokens();
  const size_t wanted = static_cast<size_t>(vocab_size) - 1;
  std::string merges = "#version: 0.2\n";
  // tokens[left] runs through the vocabulary while it grows, so longer ones follow by themselves.
  for (size_t left = 0; tokens.size() < wanted; ++left) {
    for (size_t byte = 0; byte < 256 && tokens.size() < wanted; ++byte) {
      merges += tokens[left] + " " + tokens[byte] + "\n";
      tokens.push_back(tokens[left] + tokens[byte]);
    }
  }
  nlohmann::json vocab = nlohmann::json::object();
  for (size_t id = 0; id < tokens.size(); ++id) vocab[tokens[id]] = id;
  vocab["<|endoftext|>"] = tokens.size();
  return {vocab.dump(), merges};
}

}  // namespace sentinel
