// Reads tokenizer.json as Hugging Face's `tokenizers` writes it, as far as it describes GPT-2's
// algorithm; whatever would change ids in another way is refused, not ignored.
#include <algorithm>
#include <iterator>

#include "base/error.h"
#include "model/tokenizer/bpe_spec.h"
#include "model/tokenizer/spec_json.h"

namespace sentinel {
namespace {
using nlohmann::json;
using spec_json::get;
using spec_json::get_bool;
using spec_json::get_string;

constexpr std::string_view kGpt2Patterns[] = {
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)",
};

Error unsupported(const std::string& name, const char* part, std::string_view what) {
  return bad_input(
      "{}: {} \"{}\" is not supported: only GPT-2's byte-level BPE is; use a "
      "checkpoint of the GPT-2 family",
      name, part, printable(what));
}

std::string type_of(const json& part, const std::string& name) {
  const std::string type = get_string(part, "type", name);
  return type.empty() ? "(no type)" : type;
}

// The steps of a Sequence, or the one step; none for null.
std::vector<json> steps_of(const json& part, const char* list_key, const std::string& name) {
  if (part.is_null()) return {};
  if (!part.is_object() || type_of(part, name) != "Sequence") return {part};
  const json& list = get(part, list_key);
  if (!list.is_array()) throw bad_input("{}: a Sequence has no list \"{}\"", name, list_key);
  return list.get<std::vector<json>>();
}

void check_normalizer(const json& root, const std::string& name) {
  for (const json& step : steps_of(get(root, "normalizer"), "normalizers", name)) {
    throw unsupported(name, "the normalizer", type_of(step, name));
  }
}

// ByteLevel with its own pattern, or a Split by that pattern and a ByteLevel without one.
void read_pre_tokenizer(const json& root, const std::string& name, BpeSpec& spec) {
  constexpr auto kPart = "the pre-tokenizer";
  auto steps = steps_of(get(root, "pre_tokenizer"), "pretokenizers", name);
  bool is_split = false;
  if (steps.size() == 2 && type_of(steps[0], name) == "Split") {
    const std::string pattern = get_string(get(steps[0], "pattern"), "Regex", name);
    if (std::find(std::begin(kGpt2Patterns), std::end(kGpt2Patterns), pattern) ==
        std::end(kGpt2Patterns)) {
      throw unsupported(name, "the pre-tokenizer's pattern", pattern);
    }
    if (get_string(steps[0], "behavior", name) != "Isolated" ||
        get_bool(steps[0], "invert", false, name)) {
      throw unsupported(name, kPart, "Split that is not Isolated");
    }
    is_split = true;
    steps.erase(steps.begin());
  }
  if (steps.size() != 1) throw unsupported(name, kPart, steps.empty() ? "null" : "Sequence");
  if (type_of(steps[0], name) != "ByteLevel") {
    throw unsupported(name, kPart, type_of(steps[0], name));
  }
  if (get_bool(steps[0], "use_regex", true, name) == is_split) {
    throw unsupported(
        name, kPart,
        is_split ? "Split and ByteLevel with use_regex" : "ByteLevel without use_regex");
  }
  spec.add_prefix_space = get_bool(steps[0], "add_prefix_space", true, name);
  if (is_split && spec.add_prefix_space) {
    throw unsupported(name, kPart, "Split before add_prefix_space");
  }
}

// Post-processors may move offsets but not add tokens: encode() gives the text's tokens only.
void check_post_processor(const json& root, const std::string& name) {
  constexpr auto kPart = "the post-processor";
  for (const json& step : steps_of(get(root, "post_processor"), "processors", name)) {
    const std::string type = type_of(step, name);
    if (type == "ByteLevel") continue;
    if (type != "TemplateProcessing") throw unsupported(name, kPart, type);
    const json& single = get(step, "single");
    const bool adds_nothing =
        single.is_array() && single.size() == 1 && !get(single[0], "Sequence").is_null();
    if (!adds_nothing) throw unsupported(name, kPart, "TemplateProcessing that adds tokens");
  }
}

void check_decoder(const json& root, const std::string& name) {
  for (const json& step : steps_of(get(root, "decoder"), "decoders", name)) {
    if (type_of(step, name) != "ByteLevel") {
      throw unsupported(name, "the decoder", type_of(step, name));
    }
  }
}

void check_model(const json& model, const std::string& name) {
  if (!model.is_object()) {
    throw bad_input("{}: no \"model\" object: not a tokenizer.json; download it again", name);
  }
  // Files written before tokenizers 0.9 have no type here.
  const std::string type = get_string(model, "type", name);
  if (type != "BPE" && !(type.empty() && get(model, "merges").is_array())) {
    throw unsupported(name, "the model", type_of(model, name));
  }
  const json& dropout = get(model, "dropout");
  if (!dropout.is_null() && dropout != 0) throw unsupported(name, "the model's", "dropout");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    if (!get_string(model, key, name).empty()) throw unsupported(name, "the model's", key);
  }
  if (get_bool(model, "byte_fallback", false, name)) {
    throw unsupported(name, "the model's", "byte_fallback");
  }
}

}  // namespace

BpeSpec parse_tokenizer_json(std::string_view text, const std::string& name) {
  auto [root, vocab, merges] = spec_json::parse(text, name, spec_json::Layout::tokenizer_json);
  const json& model = get(root, "model");
  BpeSpec spec;
  spec.vocab_file = spec.merges_file = name;
  check_model(model, name);
  check_normalizer(root, name);
  read_pre_tokenizer(root, name, spec);
  check_post_processor(root, name);
  check_decoder(root, name);

  if (vocab.empty()) throw bad_input("{}: the model has no vocabulary; download it again", name);
  if (!get(model, "merges").is_array()) {
    throw bad_input("{}: the model has no list of merges; download it again", name);
  }
  spec.vocab = std::move(vocab);
  spec.merges = std::move(merges);
  spec.ignore_merges = get_bool(model, "ignore_merges", false, name);
  const json& added_tokens = get(root, "added_tokens");
  if (!added_tokens.is_null() && !added_tokens.is_array()) {
    throw bad_input("{}: \"added_tokens\" must be a list", name);
  }
  for (const json& added : added_tokens) {
    AddedToken token = spec_json::get_added_token(added, name);
    token.id = spec_json::get_id(get(added, "id"), token.content, name);
    spec.added_tokens.push_back(std::move(token));
  }
  return spec;
}

}  // namespace sentinel
