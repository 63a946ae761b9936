#include "app/generate/agency_script.h"

#include <gtest/gtest.h>

#include "app/generate/generate_text.h"
#include "base/error.h"
#include "model/model.h"

namespace sentinel {
namespace {

TEST(AgencyScript, ParsesEveryChangeAndSortsByToken) {
  const auto entries = parse_script(
      "# a comment\n"
      "40 0 3 active\n"
      "\n"
      "20, 0, 3, withdrawn  # commas will do\r\n"
      "20 1 2 gate 0.25\n"
      "7 1 2 state=overloaded\n"
      "8 2 2 consent off",
      "s");
  ASSERT_EQ(entries.size(), 5U);
  EXPECT_EQ(to_string(entries[0]), "7 1 2 overloaded");
  EXPECT_EQ(to_string(entries[1]), "8 2 2 consent off");
  EXPECT_EQ(to_string(entries[2]), "20 0 3 withdrawn");
  EXPECT_EQ(to_string(entries[3]), "20 1 2 gate 0.25");
  EXPECT_EQ(to_string(entries[4]), "40 0 3 active");
  EXPECT_EQ(entries[4].line, 2);
}

TEST(AgencyScript, NamesTheLineThatIsWrong) {
  for (const char* text : {"\n1 2", "\n1 2 3 asleep", "\n1 2 3 gate 1.5", "\n1 2 3 gate nan",
                           "\n-1 2 3 active", "\nx 2 3 active", "\n1 2 3 consent maybe",
                           "\n1 2 3 active now", "\n1 2 3 gate", "\n1 2 99999999999 active"}) {
    try {
      parse_script(text, "file.txt");
      ADD_FAILURE() << text;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("file.txt line 2"), std::string::npos);
      EXPECT_EQ(error.kind(), ErrorKind::bad_input);
    }
  }
}

ModelConfig one_layer() {
  ModelConfig config;
  config.n_layers = 1;
  config.layers = {{4, 8, {}}};
  return config;
}

TEST(AgencyScript, PlaysInOrderAndRecordsRefusals) {
  HeadTable heads(one_layer());
  ScriptPlayer player(
      parse_script("0 0 1 consent off\n5 0 1 active\n5 0 2 withdrawn\n9 0 2 active", "s"), heads);
  player.play(0);
  EXPECT_FALSE(heads.is_active({0, 1}));
  EXPECT_TRUE(heads.is_active({0, 2}));
  player.play(6);  // token 5 was passed over: its changes are made now
  EXPECT_FALSE(heads.is_active({0, 2}));
  ASSERT_EQ(player.events().size(), 3U);
  EXPECT_FALSE(player.events()[1].accepted);
  EXPECT_TRUE(player.events()[2].accepted);
  EXPECT_EQ(heads.violation_count(), 1);
  EXPECT_EQ(player.pending(), 1U);
  EXPECT_THROW(ScriptPlayer(parse_script("0 0 4 active", "s"), heads), Error);
}

// The whole way: a head off between two tokens of a generation returns as if its keys and values
// had always been computed, which a gate of next to nothing does.
TEST(AgencyScript, AHeadThatReturnsInAGenerationCatchesUpExactly) {
  const std::string folder = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";
  const auto checkpoint = Checkpoint::open(folder);
  const auto tokenizer = Tokenizer::load(folder);
  const auto generate_with = [&](const std::string& script) {
    const auto model = Model::create(checkpoint, {.level = 1, .threads = 2});
    ScriptPlayer player(parse_script(script, "s"), model->heads());
    GenerateOptions options{.max_new_tokens = 60, .sampling = {.temperature = 0}};
    options.before_token = [&](int token) { player.play(token); };
    const auto result = generate_text(*model, *tokenizer, "Once upon a time", options);
    EXPECT_EQ(player.pending(), 0U);
    return result.tokens;
  };
  std::string off_and_on, faint_and_on, off;
  for (int layer = 0; layer < 8; ++layer) {
    off_and_on += fmt::format("20 {0} 5 gate 0\n40 {0} 5 gate 1\n", layer);
    faint_and_on += fmt::format("20 {0} 5 gate 1e-9\n40 {0} 5 gate 1\n", layer);
    off += fmt::format("20 {0} 5 withdrawn\n", layer);
  }
  const auto want = generate_with(faint_and_on);
  EXPECT_EQ(generate_with(off_and_on), want);
  EXPECT_NE(generate_with(off), want);  // the script has an effect
}

}  // namespace
}  // namespace sentinel
