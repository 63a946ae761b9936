// Bad tokenizer files: each gives one line that names the file and what is wrong with it.
#include "model/tokenizer/bpe_spec.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "base/files.h"
#include "model/tokenizer/tiny_tokenizer_for_test.h"
#include "sentinel/error.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;
using nlohmann::json;

// The message of the Error that `action` throws; it must be of kind bad_input and one line.
std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::bad_input) << error.what();
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    return message;
  }
  return "(no error)";
}

void expect_in(const std::string& message, std::initializer_list<const char*> parts) {
  for (const char* part : parts) EXPECT_NE(message.find(part), std::string::npos) << message;
}

std::string json_error(const std::string& text) {
  return message_of([&] { make_bpe_tokenizer(parse_tokenizer_json(text, "my/tokenizer.json")); });
}
std::string json_error(const json& document) { return json_error(document.dump()); }

std::string files_error(const std::string& vocab, const std::string& merges) {
  return message_of([&] {
    make_bpe_tokenizer(parse_vocab_and_merges(vocab, "my/vocab.json", merges, "my/merges.txt"));
  });
}
std::string merges_error(const std::string& merges) {
  return files_error(tiny::vocab().dump(), merges);
}
std::string vocab_error(const json& vocab) {
  return files_error(vocab.dump(), tiny::merges_text());
}

TEST(BpeSpec, TheTinyTokenizerIsAccepted) {
  EXPECT_EQ(json_error(tiny::tokenizer_json()), "(no error)");
  EXPECT_EQ(vocab_error(tiny::vocab()), "(no error)");
}

TEST(BpeSpec, BrokenDocuments) {
  for (const char* text : {"", "{", "[]", "null", "{}", "\"x\"", "{\"model\": 3}", "\xFF\xFE"}) {
    expect_in(json_error(std::string(text)), {"my/tokenizer.json: "});
    expect_in(files_error(text, tiny::merges_text()), {"my/vocab.json: "});
  }
  expect_in(json_error(std::string()), {"empty"});
  expect_in(merges_error(""), {"my/merges.txt: ", "empty"});
  const std::string whole = tiny::tokenizer_json().dump();
  for (size_t size = 0; size < whole.size(); size += 97) {
    expect_in(json_error(whole.substr(0, size)), {"my/tokenizer.json: "});
  }
}

TEST(BpeSpec, Ids) {
  auto vocab = tiny::vocab();
  vocab["he"] = 100000;
  expect_in(vocab_error(vocab), {"my/vocab.json", "\"he\"", "100000", "gaps"});
  vocab["he"] = 0;
  expect_in(vocab_error(vocab), {"my/vocab.json", "\"he\"", "same id 0"});
  for (const json& bad : {json(-1), json(1.5), json("7"), json(nullptr), json(1ull << 31),
                          json(18446744073709551615ull), json::array()}) {
    vocab["he"] = bad;
    expect_in(vocab_error(vocab), {"my/vocab.json", "\"he\"", "not a whole number"});
  }
  vocab.erase("he");
  expect_in(vocab_error(vocab), {"my/vocab.json", "gaps"});
}

TEST(BpeSpec, VocabAndMergesDisagree) {
  expect_in(merges_error("#version: 0.2\nh e\nx yz\n"),
            {"my/merges.txt", "vocab and merges disagree", "merge 2", "\"yz\"", "my/vocab.json"});
  expect_in(merges_error("x y\n"), {"vocab and merges disagree", "\"xy\""});
  auto document = tiny::tokenizer_json();
  document["model"]["merges"].push_back("q q");
  expect_in(json_error(document), {"my/tokenizer.json", "vocab and merges disagree", "\"qq\""});
}

TEST(BpeSpec, MergesCutShort) {
  const fs::path folder = fs::path(SENTINEL_SOURCE_DIR) / "models/sentinel-mini";
  const std::string vocab = read_file(folder / "vocab.json");
  std::string merges = read_file(folder / "merges.txt");
  merges.resize(merges.rfind('\n', merges.size() / 2) + 1);
  expect_in(files_error(vocab, merges),
            {"my/merges.txt", "vocab and merges disagree", "cut short"});
}

TEST(BpeSpec, MergeLinesWithoutTwoParts) {
  for (const char* line : {"he", "h e x", " h", "h ", "", " "}) {
    expect_in(merges_error(std::string("#version: 0.2\nh e\n") + line + "\nl l\n"),
              {"my/merges.txt: line 3 is not two tokens"});
  }
  for (const json& bad : {json("he"), json("h e x"), json(3), json(nullptr), json::array({"h"}),
                          json::array({"h", 3}), json::object()}) {
    auto document = tiny::tokenizer_json();
    document["model"]["merges"][1] = bad;
    expect_in(json_error(document), {"my/tokenizer.json: merge 1 is not two tokens"});
  }
  EXPECT_EQ(merges_error("h e\r\nl l\r\nhe ll\r\nhell o\r\n\r\n"), "(no error)");
}

TEST(BpeSpec, MissingBytesAndForeignAlphabets) {
  auto vocab = tiny::vocab();
  const int id = vocab["A"];
  vocab.erase("A");
  vocab["AA"] = id;
  expect_in(vocab_error(vocab), {"my/vocab.json", "byte 0x41"});
  vocab = tiny::vocab();
  vocab["▁the"] = vocab.size();
  expect_in(vocab_error(vocab), {"my/vocab.json", "byte alphabet", "SentencePiece"});
}

TEST(BpeSpec, OtherAlgorithmsAreRefused) {
  const auto refused = [](const char* pointer, const json& value) {
    auto document = tiny::tokenizer_json();
    document[json::json_pointer(pointer)] = value;
    expect_in(json_error(document), {"my/tokenizer.json: ", "not supported"});
  };
  refused("/model/type", "Unigram");
  refused("/model/type", "WordPiece");
  refused("/model/dropout", 0.1);
  refused("/model/byte_fallback", true);
  refused("/model/end_of_word_suffix", "</w>");
  refused("/model/continuing_subword_prefix", "##");
  refused("/normalizer", {{"type", "NFC"}});
  refused("/normalizer", {{"type", "Sequence"}, {"normalizers", {{{"type", "Lowercase"}}}}});
  refused("/pre_tokenizer", nullptr);
  refused("/pre_tokenizer", {{"type", "Metaspace"}});
  refused("/pre_tokenizer", {{"type", "ByteLevel"}, {"use_regex", false}});
  const json byte_level = {
      {"type", "ByteLevel"}, {"use_regex", false}, {"add_prefix_space", false}};
  refused("/pre_tokenizer",
          {{"type", "Sequence"}, {"pretokenizers", {{{"type", "Digits"}}, byte_level}}});
  refused("/pre_tokenizer", {{"type", "Sequence"},
                             {"pretokenizers",
                              {{{"type", "Split"},
                                {"pattern", {{"Regex", "\\p{N}{1,3}|\\s+"}}},
                                {"behavior", "Isolated"}},
                               byte_level}}});
  refused("/post_processor", {{"type", "BertProcessing"}});
  refused("/post_processor",
          {{"type", "TemplateProcessing"},
           {"single", {{{"SpecialToken", {{"id", "<s>"}}}}, {{"Sequence", {{"id", "A"}}}}}}});
  refused("/decoder", {{"type", "WordPiece"}});
  refused("/added_tokens/0/lstrip", true);
}

TEST(BpeSpec, SplitByGpt2sOwnPatternIsAccepted) {
  auto document = tiny::tokenizer_json();
  document["pre_tokenizer"] = {
      {"type", "Sequence"},
      {"pretokenizers",
       {{{"type", "Split"},
         {"pattern",
          {{"Regex",
            R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)"}}},
         {"behavior", "Isolated"},
         {"invert", false}},
        {{"type", "ByteLevel"}, {"use_regex", false}, {"add_prefix_space", false}}}}};
  EXPECT_EQ(json_error(document), "(no error)");
}

TEST(BpeSpec, AddedTokens) {
  auto document = tiny::tokenizer_json();
  document["added_tokens"][0]["id"] = 3;
  expect_in(json_error(document), {"my/tokenizer.json", "<|end|>", "3"});
  document = tiny::tokenizer_json();
  document["added_tokens"].push_back(document["added_tokens"][0]);
  expect_in(json_error(document), {"my/tokenizer.json", "<|end|>", "twice"});
  document["added_tokens"] = 5;
  expect_in(json_error(document), {"my/tokenizer.json", "added_tokens"});
  document["added_tokens"] = {{{"id", 5}}};
  expect_in(json_error(document), {"my/tokenizer.json", "content"});
}

TEST(BpeSpec, TokenizerConfig) {
  const auto spec = [] {
    return parse_vocab_and_merges(tiny::vocab().dump(), "v", tiny::merges_text(), "m");
  };
  BpeSpec with_config = spec();
  const int next = static_cast<int>(tiny::vocab().size());
  apply_tokenizer_config(json{{"eos_token", {{"content", "<|end|>"}}},
                              {"pad_token", "[not there]"},
                              {"add_prefix_space", true},
                              {"added_tokens_decoder",
                               {{std::to_string(next), {{"content", "<pad>"}, {"special", true}}}}}}
                             .dump(),
                         "c", with_config);
  EXPECT_TRUE(with_config.add_prefix_space);
  const auto tokenizer = make_bpe_tokenizer(with_config);
  EXPECT_TRUE(tokenizer->is_special(next - 1));
  EXPECT_EQ(tokenizer->encode("<|end|><pad>", true), (std::vector<int32_t>{next - 1, next}));
  for (const json& bad :
       {json{{"added_tokens_decoder", 3}}, json{{"added_tokens_decoder", {{"x", json::object()}}}},
        json{{"added_tokens_decoder", {{"-5", {{"content", "a"}}}}}},
        json{{"add_prefix_space", "yes"}}, json::array()}) {
    BpeSpec untouched = spec();
    expect_in(message_of([&] { apply_tokenizer_config(bad.dump(), "my/c.json", untouched); }),
              {"my/c.json: "});
  }
}

TEST(TokenizerLoad, MissingFilesAreNamed) {
  const fs::path folder =
      fs::temp_directory_path() / ("sentinel_tokenizer_load_" + std::to_string(getpid()));
  const auto error = [&] { return message_of([&] { Tokenizer::load(folder); }); };
  fs::remove_all(folder);
  expect_in(error(), {folder.c_str(), "no such folder"});
  fs::create_directories(folder);
  expect_in(error(), {folder.c_str(), "neither tokenizer.json nor vocab.json"});
  write_file_atomic(folder / "vocab.json", tiny::vocab().dump());
  expect_in(error(), {"/merges.txt: missing"});
  write_file_atomic(folder / "merges.txt", "");
  expect_in(error(), {"/merges.txt: ", "empty"});
  write_file_atomic(folder / "merges.txt", tiny::merges_text());
  EXPECT_EQ(error(), "(no error)");
  write_file_atomic(folder / "tokenizer.json", "");  // preferred, so its fault counts
  expect_in(error(), {"/tokenizer.json: ", "empty"});
  fs::remove_all(folder);
}

}  // namespace
}  // namespace sentinel
