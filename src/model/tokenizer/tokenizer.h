// Text to token ids and back.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sentinel {

class Tokenizer {
 public:
  // From tokenizer.json, or vocab.json + merges.txt, in `folder`. Error (bad_input).
  static std::unique_ptr<Tokenizer> load(const std::filesystem::path& folder);
  virtual ~Tokenizer() = default;

  virtual int vocab_size() const = 0;  // highest id + 1
  // Any bytes are accepted. With parse_special, as Hugging Face's tokenizers do it, the text of
  // special tokens ("<|endoftext|>") becomes their single id; without, it is ordinary text.
  virtual std::vector<int32_t> encode(std::string_view text, bool parse_special = false) const = 0;
  // The exact bytes; special tokens give their text. Error (usage) for an id out of range.
  virtual std::string decode(std::span<const int32_t> ids) const = 0;
  virtual std::string_view token_bytes(int32_t id) const = 0;
  virtual bool is_special(int32_t id) const = 0;
};

// Cuts a byte stream at UTF-8 character boundaries: feed() returns the bytes that end with a whole
// character (invalid bytes are passed on once they cannot become valid); flush() the rest.
class Utf8Stream {
 public:
  std::string feed(std::string_view bytes);
  std::string flush();

 private:
  std::string pending_;
};

}  // namespace sentinel
