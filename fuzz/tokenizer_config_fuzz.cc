// Any bytes as the tokenizer_config.json beside a vocab.json of the 256 bytes.
#include <cstdint>
#include <nlohmann/json.hpp>

#include "json_mutator.h"
#include "model/tokenizer/byte_alphabet.h"
#include "tokenizer_fuzz_common.h"

namespace {

sentinel::BpeSpec byte_spec() {
  const sentinel::ByteAlphabet alphabet;
  nlohmann::json vocab;
  for (int byte = 0; byte < 256; ++byte) vocab[alphabet.to_text(static_cast<uint8_t>(byte))] = byte;
  vocab["<|endoftext|>"] = 256;
  vocab["ab"] = 257;
  return sentinel::parse_vocab_and_merges(vocab.dump(), "vocab.json", "a b\n", "merges.txt");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static const sentinel::BpeSpec plain = byte_spec();
  sentinel::expect_success_or_bad_input([&] {
    sentinel::BpeSpec spec = plain;
    sentinel::apply_tokenizer_config(input, "tokenizer_config.json", spec);
    sentinel::check_tokenizer(spec, {input, "a<|endoftext|> ab<pad>"});
  });
  return 0;
}
