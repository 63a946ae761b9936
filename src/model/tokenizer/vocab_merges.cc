// Reads vocab.json + merges.txt, the format GPT-2 was published in, and what Hugging Face's
// tokenizer_config.json adds to it.
#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "model/tokenizer/bpe_spec.h"
#include "model/tokenizer/spec_json.h"

namespace sentinel {
namespace {
using nlohmann::json;
using spec_json::get;

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

std::vector<std::pair<std::string, std::string>> parse_merges(std::string_view text,
                                                              const std::string& name) {
  if (text.empty()) throw bad_input("{}: the file is empty; copy or download it again", name);
  std::vector<std::pair<std::string, std::string>> merges;
  merges.reserve(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  for (size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = next_line(text);
    if (number == 1 && line.starts_with("#version")) continue;
    if (line.empty() && text.find_first_not_of("\r\n") == std::string_view::npos) break;
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0 || space + 1 == line.size() ||
        line.find(' ', space + 1) != std::string_view::npos) {
      throw bad_input("{}: line {} is not two tokens: \"{}\"; download the file again", name,
                      number, printable(line));
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

// Marks a token as added (and special) if the vocabulary or an earlier list gives it an id.
void add_special(const std::string& content, BpeSpec& spec) {
  if (content.empty()) return;
  for (AddedToken& token : spec.added_tokens) {
    if (token.content == content) {
      token.special = true;
      return;
    }
  }
  for (const BpeSpec::Entry& entry : spec.vocab) {
    if (entry.text == content) {
      spec.added_tokens.push_back({content, entry.id, true, false});
      return;
    }
  }
}

}  // namespace

BpeSpec parse_vocab_and_merges(std::string_view vocab_json, const std::string& vocab_name,
                               std::string_view merges, const std::string& merges_name) {
  BpeSpec spec;
  spec.vocab_file = vocab_name;
  spec.merges_file = merges_name;
  spec.vocab = spec_json::parse(vocab_json, vocab_name, spec_json::Layout::vocab_json).vocab;
  if (spec.vocab.empty()) {
    throw bad_input("{}: no vocabulary of the form {{\"token\": id}}; download it again",
                    vocab_name);
  }
  spec.merges = parse_merges(merges, merges_name);
  add_special("<|endoftext|>", spec);
  return spec;
}

void apply_tokenizer_config(std::string_view text, const std::string& name, BpeSpec& spec) {
  const json config = spec_json::parse(text, name, spec_json::Layout::config).root;
  spec.add_prefix_space = spec_json::get_bool(config, "add_prefix_space", false, name);
  const json& added_tokens = get(config, "added_tokens_decoder");
  if (!added_tokens.is_null() && !added_tokens.is_object()) {
    throw bad_input("{}: \"added_tokens_decoder\" must be an object", name);
  }
  for (const auto& [key, value] : added_tokens.items()) {
    AddedToken token = spec_json::get_added_token(value, name);
    const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), token.id);
    if (error != std::errc() || end != key.data() + key.size() || token.id < 0) {
      throw bad_input("{}: \"{}\" is not a token id", name, printable(key));
    }
    std::erase_if(spec.added_tokens,
                  [&](const AddedToken& known) { return known.content == token.content; });
    spec.added_tokens.push_back(std::move(token));
  }
  for (const char* key : {"bos_token", "eos_token", "unk_token", "pad_token"}) {
    const json& token = get(config, key);
    if (token.is_string()) add_special(token.get<std::string>(), spec);
    if (token.is_object()) add_special(spec_json::get_string(token, "content", name), spec);
  }
}

}  // namespace sentinel
