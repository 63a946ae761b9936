#include "model/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/files.h"
#include "model/tokenizer/bpe_spec.h"
#include "model/tokenizer/tiny_tokenizer_for_test.h"
#include "sentinel/error.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

const fs::path kRoot = SENTINEL_SOURCE_DIR;
const fs::path kMini = kRoot / "models/sentinel-mini";
const fs::path kGpt2 = kRoot / "tests/data/gpt2-tokenizer";

// A folder of its own for each test, removed at the end.
class TokenizerFiles : public testing::Test {
 protected:
  void SetUp() override {
    const auto* test = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::temp_directory_path() /
              (std::string("sentinel_") + test->name() + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST(Tokenizer, Gpt2VectorsAreExact) {
  const auto tokenizer = Tokenizer::load(kGpt2);
  EXPECT_EQ(tokenizer->vocab_size(), 50257);
  const auto vectors = read_json(kGpt2 / "vectors.json")["vectors"];
  ASSERT_EQ(vectors.size(), 200u);
  for (const auto& vector : vectors) {
    const auto text = vector["text"].get<std::string>();
    const auto ids = vector["ids"].get<Ids>();
    EXPECT_EQ(tokenizer->encode(text), ids) << text;
    EXPECT_EQ(tokenizer->decode(ids), text);
  }
}

TEST(Tokenizer, MiniReferencePromptsAreExact) {
  const auto tokenizer = Tokenizer::load(kMini);
  EXPECT_EQ(tokenizer->vocab_size(), 4096);
  const auto prompts = read_json(kMini / "reference.json")["prompts"];
  ASSERT_FALSE(prompts.empty());
  for (const auto& prompt : prompts) {
    EXPECT_EQ(tokenizer->encode(prompt["text"].get<std::string>()), prompt["ids"].get<Ids>());
    EXPECT_EQ(tokenizer->decode(prompt["greedy_ids"].get<Ids>()),
              prompt["continuation"].get<std::string>());
  }
}

TEST_F(TokenizerFiles, BothFormatsGiveTheSameIds) {
  for (const char* file : {"vocab.json", "merges.txt", "tokenizer_config.json"}) {
    fs::copy_file(kMini / file, folder_ / file);
  }
  const auto from_json = Tokenizer::load(kMini);
  const auto from_files = Tokenizer::load(folder_);
  Rng rng(6);
  for (int i = 0; i < 500; ++i) {
    const std::string text = tiny::random_text(rng, rng.below(80), true) + "<|endoftext|>";
    for (const bool special : {false, true}) {
      ASSERT_EQ(from_files->encode(text, special), from_json->encode(text, special));
    }
  }
  const std::string book = read_file(kRoot / "models/sentinel-mini/MODEL_CARD.md");
  EXPECT_EQ(from_files->encode(book), from_json->encode(book));
}

TEST_F(TokenizerFiles, MergesMayBePairsOrStrings) {
  auto json = tiny::tokenizer_json();
  const auto strings = make_bpe_tokenizer(parse_tokenizer_json(json.dump(), "strings"));
  json["model"]["merges"] = tiny::kMerges;
  ASSERT_TRUE(json["model"]["merges"][0].is_array());
  const auto pairs = make_bpe_tokenizer(parse_tokenizer_json(json.dump(), "pairs"));
  for (const char* text : {"hello hello", "aaaaaaa", " hell"}) {
    EXPECT_EQ(pairs->encode(text), strings->encode(text));
    EXPECT_LT(pairs->encode(text).size(), std::string(text).size());
  }
}

TEST(Tokenizer, RoundTripOfAnyBytes) {
  Rng rng(7);
  for (const auto& folder : {kMini, kGpt2}) {
    const auto tokenizer = Tokenizer::load(folder);
    for (int i = 0; i < 1000; ++i) {
      const std::string text = i % 2 ? tiny::random_bytes(rng, rng.below(200))
                                     : tiny::random_text(rng, rng.below(100), true);
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
      ASSERT_EQ(tokenizer->decode(tokenizer->encode(text, true)), text);
    }
    EXPECT_TRUE(tokenizer->encode("").empty());
    std::string all_bytes(256, '\0');
    for (int i = 0; i < 256; ++i) all_bytes[static_cast<size_t>(i)] = static_cast<char>(i);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode(all_bytes)), all_bytes);
  }
}

// Quadratic time would take hours here, and a recursive match would need gigabytes of stack.
TEST(Tokenizer, MegabytesWithoutASpace) {
  const auto tokenizer = Tokenizer::load(kGpt2);
  constexpr size_t kBytes = 1 << 20;
  Rng rng(8);
  std::string letters(kBytes, 'a'), digits(kBytes, '0');
  for (char& c : letters) c = static_cast<char>('a' + rng.below(26));
  for (char& c : digits) c = static_cast<char>('0' + rng.below(10));
  std::string wide;
  while (wide.size() < kBytes) append_utf8(wide, static_cast<uint32_t>(0x4E00 + rng.below(5000)));
  for (const std::string& text :
       {std::string(kBytes, 'a'), letters, digits, wide, std::string(kBytes, ' '),
        std::string(kBytes, '\n'), std::string(kBytes, '!'), std::string(kBytes, '\xFF'),
        tiny::random_bytes(rng, kBytes)}) {
    EXPECT_TRUE(tokenizer->decode(tokenizer->encode(text)) == text);
  }
}

TEST(Tokenizer, LongRunsAreCutLikeShortOnes) {
  const auto tokenizer = Tokenizer::load(kGpt2);
  const Ids ids = tokenizer->encode(std::string(1 << 16, 'a'));
  const Ids sixteen = tokenizer->encode(std::string(16, 'a'));
  Ids expected;
  while (expected.size() < ids.size())
    expected.insert(expected.end(), sixteen.begin(), sixteen.end());
  EXPECT_EQ(ids, expected);
}

TEST(Tokenizer, SpecialTokensOnlyWhenAskedFor) {
  const auto tokenizer = Tokenizer::load(kGpt2);
  const std::string end = "<|endoftext|>";
  EXPECT_EQ(tokenizer->encode(end, true), Ids{50256});
  EXPECT_EQ(tokenizer->encode(end), (Ids{27, 91, 437, 1659, 5239, 91, 29}));
  EXPECT_EQ(tokenizer->encode(end + end + "a" + end, true), (Ids{50256, 50256, 64, 50256}));
  EXPECT_EQ(tokenizer->encode("<|endof" + end + "text|>", true),
            (Ids{27, 91, 437, 1659, 50256, 5239, 91, 29}));
  EXPECT_EQ(tokenizer->decode(Ids{64, 50256}), "a" + end);
  EXPECT_TRUE(tokenizer->is_special(50256));
  EXPECT_FALSE(tokenizer->is_special(64));
  EXPECT_EQ(tokenizer->token_bytes(50256), end);
  EXPECT_EQ(tokenizer->token_bytes(262), " the");
}

TEST(Tokenizer, IdsOutsideTheVocabularyAreErrors) {
  const auto tokenizer = Tokenizer::load(kMini);
  for (const int32_t id : {-1, 4096, 2147483647}) {
    EXPECT_THROW(tokenizer->decode(Ids{0, id}), Error);
    EXPECT_THROW(tokenizer->token_bytes(id), Error);
    EXPECT_THROW(tokenizer->is_special(id), Error);
  }
}

TEST(Tokenizer, AddedTokensLongestFirstAndOrdinaryOnesAlways) {
  auto json = tiny::tokenizer_json();
  const int next = static_cast<int>(tiny::vocab().size());
  json["added_tokens"].push_back({{"id", next}, {"content", "<|"}, {"special", true}});
  json["added_tokens"].push_back({{"id", next + 1}, {"content", "  "}, {"special", false}});
  json["added_tokens"].push_back({{"id", next + 2}, {"content", "    "}, {"special", false}});
  const auto tokenizer = make_bpe_tokenizer(parse_tokenizer_json(json.dump(), "test"));
  EXPECT_EQ(tokenizer->vocab_size(), next + 3);
  EXPECT_EQ(tokenizer->encode("      ", false), (Ids{next + 2, next + 1}));
  EXPECT_EQ(tokenizer->encode("<|end|><|", true), (Ids{next - 1, next}));
  EXPECT_EQ(tokenizer->encode("<|", false), (Ids{'<', '|'}));
  EXPECT_FALSE(tokenizer->is_special(next + 1));
}

TEST(Tokenizer, PrefixSpace) {
  auto json = tiny::tokenizer_json();
  json["pre_tokenizer"]["add_prefix_space"] = true;
  const auto tokenizer = make_bpe_tokenizer(parse_tokenizer_json(json.dump(), "test"));
  const Ids with_space = tokenizer->encode(" hello");
  EXPECT_EQ(with_space.size(), 1u);
  EXPECT_EQ(tokenizer->encode("hello"), with_space);
  EXPECT_TRUE(tokenizer->encode("").empty());
}

TEST(Tokenizer, ThreadsMayShareOne) {
  const auto tokenizer = Tokenizer::load(kMini);
  Rng rng(9);
  const std::string text = tiny::random_text(rng, 5000, true);
  const Ids expected = tokenizer->encode(text);
  std::atomic<int> n_equal{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] { n_equal += tokenizer->encode(text) == expected ? 1 : 0; });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(n_equal, 4);
}

}  // namespace
}  // namespace sentinel
