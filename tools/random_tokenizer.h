// A byte-level BPE vocabulary of any size.
#pragma once

#include <string>

namespace sentinel {

struct TokenizerFiles {
  std::string vocab_json;
  std::string merges_txt;
};

// Ids 0..255: the bytes in GPT-2's order; then a token for each merge: all pairs of bytes in
// order, all of those followed by a byte, and so on; the last id is <|endoftext|>.
// vocab_size >= 257.
TokenizerFiles make_tokenizer(int vocab_size);

}  // namespace sentinel
