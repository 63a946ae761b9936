#include "random_tokenizer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "model/tokenizer/byte_alphabet.h"

namespace sentinel {
namespace {

// In GPT-2's order: bytes that stand for themselves, then those that are written from U+0100 on.
std::vector<std::string> byte_tokens() {
  const ByteAlphabet alphabet;
  std::vector<std::string> tokens;
  for (int byte = 0; byte < 256; ++byte) {
    tokens.push_back(alphabet.to_text(static_cast<uint8_t>(byte)));
  }
  std::sort(tokens.begin(), tokens.end());  // UTF-8 sorts as its code points do
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
