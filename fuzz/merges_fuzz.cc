// Any bytes as a merges.txt. With a NUL byte in the input, what stands before it is the vocab.json;
// without one the vocabulary is made to fit the merges, so that most inputs load and get merged.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>

#include "model/tokenizer/byte_alphabet.h"
#include "tokenizer_fuzz_common.h"

namespace {

// The vocabulary of the 256 bytes with its closing brace left out.
std::string byte_vocab() {
  const sentinel::ByteAlphabet alphabet;
  std::string vocab = "{";
  for (int byte = 0; byte < 256; ++byte) {
    const std::string token = alphabet.to_text(static_cast<uint8_t>(byte));
    if (byte > 0) vocab += ',';
    vocab += nlohmann::json(token).dump() + ':' + std::to_string(byte);
  }
  return vocab;
}

std::string fitting_vocab(std::string_view merges) {
  static const std::string bytes = byte_vocab();
  static const sentinel::ByteAlphabet alphabet;
  std::string vocab = bytes;
  std::set<std::string> known;
  while (!merges.empty()) {
    const size_t end = std::min(merges.find('\n'), merges.size());
    const std::string line(merges.substr(0, end));
    merges.remove_prefix(std::min(end + 1, merges.size()));
    const size_t space = line.find(' ');
    if (space == std::string::npos) continue;
    const std::string left = line.substr(0, space), right = line.substr(space + 1);
    for (const auto& token : {left, right, left + right}) {
      const auto token_bytes = alphabet.to_bytes(token);
      if (!token_bytes || token_bytes->size() < 2 || !known.insert(token).second) continue;
      vocab += ',' + nlohmann::json(token).dump() + ':' + std::to_string(255 + known.size());
    }
  }
  return vocab + '}';
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t nul = input.find('\0');
  const bool has_vocab = nul != std::string_view::npos;
  const std::string_view merges = has_vocab ? input.substr(nul + 1) : input;
  const std::string vocab = has_vocab ? std::string(input.substr(0, nul)) : fitting_vocab(merges);
  sentinel::expect_success_or_bad_input([&] {
    const auto spec = sentinel::parse_vocab_and_merges(vocab, "vocab.json", merges, "merges.txt");
    sentinel::check_tokenizer(spec, {merges, input.substr(size / 2)});
  });
  return 0;
}
