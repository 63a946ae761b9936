#include "model/tokenizer/tokenizer.h"

#include "base/error.h"
#include "base/files.h"
#include "model/tokenizer/bpe_spec.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;

// The largest known files (250,000 tokens) have 20 MB.
constexpr size_t kMaxFileBytes = size_t{64} << 20;

bool is_there(const fs::path& path) {
  std::error_code error;
  return fs::exists(path, error);
}

BpeSpec load_vocab_and_merges(const fs::path& folder) {
  const fs::path vocab = folder / "vocab.json";
  const fs::path merges = folder / "merges.txt";
  for (const fs::path& path : {vocab, merges}) {
    if (!is_there(path)) {
      throw bad_input(
          "{}: missing; a tokenizer needs vocab.json and merges.txt (or one "
          "tokenizer.json): copy it into the folder",
          path.string());
    }
  }
  BpeSpec spec = parse_vocab_and_merges(read_file(vocab, kMaxFileBytes), vocab.string(),
                                        read_file(merges, kMaxFileBytes), merges.string());
  if (const fs::path config = folder / "tokenizer_config.json"; is_there(config)) {
    apply_tokenizer_config(read_file(config, kMaxFileBytes), config.string(), spec);
  }
  return spec;
}

}  // namespace

std::unique_ptr<Tokenizer> Tokenizer::load(const fs::path& folder) {
  if (!is_there(folder)) throw bad_input("{}: no such folder; check the path", folder.string());
  if (const fs::path file = folder / "tokenizer.json"; is_there(file)) {
    return make_bpe_tokenizer(parse_tokenizer_json(read_file(file, kMaxFileBytes), file.string()));
  }
  if (!is_there(folder / "vocab.json") && !is_there(folder / "merges.txt")) {
    throw bad_input(
        "{}: no tokenizer: neither tokenizer.json nor vocab.json and merges.txt are in "
        "this folder; copy them beside the model",
        folder.string());
  }
  return make_bpe_tokenizer(load_vocab_and_merges(folder));
}

}  // namespace sentinel
