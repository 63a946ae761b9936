#include "model/tokenizer/vocabulary.h"

#include <bit>
#include <cstring>
#include <unordered_map>

#include "base/error.h"
#include "model/tokenizer/byte_alphabet.h"

namespace sentinel {
namespace {

using IdOfText = std::unordered_map<std::string_view, int32_t>;

// Collects text and bytes by id, whatever the order of the files.
struct Table {
  std::vector<const std::string*> text;  // [n_tokens] as the file writes it
  std::vector<std::string> bytes;        // [n_tokens]
};

void put(Table& table, const std::string& text, int32_t id, std::string bytes,
         const std::string& file) {
  const auto i = static_cast<size_t>(id);
  if (i >= table.text.size()) {
    throw bad_input(
        "{}: token \"{}\" has id {} but there are only {} tokens; ids must run from 0 "
        "without gaps: download the file again",
        file, printable(text), id, table.text.size());
  }
  if (table.text[i]) {
    throw bad_input("{}: tokens \"{}\" and \"{}\" have the same id {}; download the file again",
                    file, printable(*table.text[i]), printable(text), id);
  }
  table.text[i] = &text;
  table.bytes[i] = std::move(bytes);
}

Table read_table(const BpeSpec& spec, const IdOfText& id_of) {
  const ByteAlphabet alphabet;
  std::unordered_map<std::string_view, const AddedToken*> added;
  size_t n_tokens = spec.vocab.size();
  for (const AddedToken& token : spec.added_tokens) {
    if (!added.emplace(token.content, &token).second) {
      throw bad_input("{}: added token \"{}\" stands twice", spec.vocab_file,
                      printable(token.content));
    }
    if (!id_of.contains(token.content)) ++n_tokens;
  }
  Table table{std::vector<const std::string*>(n_tokens), std::vector<std::string>(n_tokens)};
  for (const auto& [text, id] : spec.vocab) {
    const auto found = added.find(text);
    if (found != added.end()) {
      if (found->second->id != id) {
        throw bad_input(
            "{}: token \"{}\" has id {} in the vocabulary and {} in the added tokens; "
            "download the files again",
            spec.vocab_file, printable(text), id, found->second->id);
      }
      put(table, text, id, text, spec.vocab_file);
      continue;
    }
    auto bytes = alphabet.to_bytes(text);
    if (!bytes) {
      throw bad_input(
          "{}: token \"{}\" is not written in GPT-2's byte alphabet; only byte-level "
          "BPE vocabularies are supported (no SentencePiece)",
          spec.vocab_file, printable(text));
    }
    put(table, text, id, std::move(*bytes), spec.vocab_file);
  }
  for (const AddedToken& token : spec.added_tokens) {
    if (!id_of.contains(token.content)) {
      put(table, token.content, token.id, token.content, spec.vocab_file);
    }
  }
  return table;
}

std::array<int32_t, 256> find_byte_ids(const BpeSpec& spec, const IdOfText& id_of) {
  const ByteAlphabet alphabet;
  std::array<int32_t, 256> ids;
  for (size_t byte = 0; byte < ids.size(); ++byte) {
    const auto found = id_of.find(alphabet.to_text(static_cast<uint8_t>(byte)));
    if (found == id_of.end()) {
      throw bad_input(
          "{}: the vocabulary has no token for byte 0x{:02x}; only byte-level BPE "
          "vocabularies with all 256 bytes are supported",
          spec.vocab_file, byte);
    }
    ids[byte] = found->second;
  }
  return ids;
}

std::vector<MergeRule> read_merges(const BpeSpec& spec, const IdOfText& id_of) {
  std::vector<MergeRule> merges;
  merges.reserve(spec.merges.size());
  const auto find = [&](const std::string& token, const auto& merge) {
    const auto found = id_of.find(token);
    if (found == id_of.end()) {
      throw bad_input(
          "{}: vocab and merges disagree: merge {} (\"{} {}\") needs token \"{}\", "
          "which {} does not have; take both from the same model",
          spec.merges_file, merges.size() + 1, printable(merge.first), printable(merge.second),
          printable(token), spec.vocab_file);
    }
    return found->second;
  };
  std::string joined;
  for (const auto& merge : spec.merges) {
    joined.assign(merge.first).append(merge.second);
    merges.push_back({find(merge.first, merge), find(merge.second, merge), find(joined, merge)});
  }
  return merges;
}

// A few tokens without a merge are normal (fillers, tokens added by hand). Many mean that the
// merges are cut short or belong to a smaller model: text would be cut into far too many tokens.
void check_merges_cover(const BpeSpec& spec, const Vocabulary& vocabulary) {
  std::vector<bool> made(vocabulary.size(), false);
  for (const MergeRule& merge : vocabulary.merges) made[static_cast<size_t>(merge.result)] = true;
  for (const AddedToken& token : spec.added_tokens) made[static_cast<size_t>(token.id)] = true;
  for (const int32_t id : vocabulary.byte_ids) made[static_cast<size_t>(id)] = true;
  size_t n_missing = 0;
  for (const bool is_made : made) n_missing += is_made ? 0 : 1;
  constexpr size_t kMaxShare = 16;
  if (!spec.ignore_merges && n_missing * kMaxShare > vocabulary.size()) {
    throw bad_input(
        "{}: vocab and merges disagree: no merge makes {} of the {} tokens of {}; the "
        "merges are cut short or of another model: take both from the same model",
        spec.merges_file, n_missing, vocabulary.size(), spec.vocab_file);
  }
}

uint32_t hash_bytes(std::string_view bytes) {
  constexpr uint64_t kMix = 0x9E3779B97F4A7C15ULL;
  uint64_t hash = bytes.size() * kMix;
  const char* p = bytes.data();
  size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    uint64_t word;
    std::memcpy(&word, p, 8);
    hash = (std::rotl(hash, 23) ^ word) * kMix;
  }
  uint64_t word = 0;
  std::memcpy(&word, p, left);
  hash = (std::rotl(hash, 23) ^ word) * kMix;
  return static_cast<uint32_t>((hash ^ hash >> 29) * kMix >> 32);
}

}  // namespace

Vocabulary::Vocabulary(const BpeSpec& spec) {
  IdOfText id_of;
  id_of.reserve(spec.vocab.size());
  for (const auto& [text, id] : spec.vocab) {
    if (!id_of.emplace(text, id).second) {
      throw bad_input("{}: token \"{}\" stands twice", spec.vocab_file, printable(text));
    }
  }
  const Table table = read_table(spec, id_of);
  offsets.push_back(0);
  for (const std::string& token : table.bytes) {
    bytes += token;
    offsets.push_back(bytes.size());
  }
  is_special.resize(size());
  is_ordinary.resize(size());
  for (const AddedToken& token : spec.added_tokens) {
    is_special[static_cast<size_t>(token.id)] = token.special;
  }
  for (const BpeSpec::Entry& entry : spec.vocab) is_ordinary[static_cast<size_t>(entry.id)] = true;
  byte_ids = find_byte_ids(spec, id_of);
  merges = read_merges(spec, id_of);
  check_merges_cover(spec, *this);
}

void TokenIndex::insert(const std::vector<int32_t>& ids) {
  slots_.assign(std::bit_ceil(2 * ids.size() + 2), {});
  for (const int32_t id : ids) {
    const std::string_view token = vocabulary_.bytes_of(id);
    longest_ = std::max(longest_, token.size());
    const uint32_t hash = hash_bytes(token);
    size_t i = hash & (slots_.size() - 1);
    while (slots_[i].id >= 0) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {hash, id};
  }
}

int32_t TokenIndex::find(std::string_view bytes) const {
  if (bytes.size() > longest_) return -1;
  const uint32_t hash = hash_bytes(bytes);
  for (size_t i = hash & (slots_.size() - 1); slots_[i].id >= 0;
       i = (i + 1) & (slots_.size() - 1)) {
    if (slots_[i].hash == hash && vocabulary_.bytes_of(slots_[i].id) == bytes) return slots_[i].id;
  }
  return -1;
}

}  // namespace sentinel
