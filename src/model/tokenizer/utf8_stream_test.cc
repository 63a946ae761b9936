#include <gtest/gtest.h>

#include "model/tokenizer/tiny_tokenizer_for_test.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {

TEST(Utf8Stream, HoldsBackAnUnfinishedCharacter) {
  Utf8Stream stream;
  EXPECT_EQ(stream.feed("a\xF0\x9F"), "a");
  EXPECT_EQ(stream.feed("\x98"), "");
  EXPECT_EQ(stream.feed("\x80z"), "\xF0\x9F\x98\x80z");
  EXPECT_EQ(stream.flush(), "");
}

TEST(Utf8Stream, PassesBytesThatCannotBecomeValid) {
  Utf8Stream stream;
  EXPECT_EQ(stream.feed("\xFF"), "\xFF");
  EXPECT_EQ(stream.feed("\x80"), "\x80");
  EXPECT_EQ(stream.feed("\xE0\x80"), "\xE0\x80");  // overlong
  EXPECT_EQ(stream.feed("\xED\xA0"), "\xED\xA0");  // surrogate
  EXPECT_EQ(stream.feed("\xF4\x90"), "\xF4\x90");  // above U+10FFFF
  EXPECT_EQ(stream.feed("\xC3"), "");
  EXPECT_EQ(stream.feed("x"), "\xC3x");
}

TEST(Utf8Stream, FlushGivesTheRest) {
  Utf8Stream stream;
  EXPECT_EQ(stream.feed("\xE4\xBD"), "");
  EXPECT_EQ(stream.flush(), "\xE4\xBD");
  EXPECT_EQ(stream.flush(), "");
}

// Whatever the cuts: nothing is lost, and only text that was invalid is cut inside a character.
TEST(Utf8Stream, AnyCutsGiveTheSameBytes) {
  Rng rng(5);
  for (int i = 0; i < 2000; ++i) {
    const bool with_invalid = i % 2 == 0;
    const std::string text = tiny::random_text(rng, 1 + rng.below(20), with_invalid);
    Utf8Stream stream;
    std::string joined;
    for (size_t at = 0; at < text.size();) {
      const size_t length = 1 + rng.below(4);
      const std::string part = stream.feed(text.substr(at, length));
      at += length;
      for (size_t p = 0; p < part.size() && !with_invalid;) {
        const Utf8Char c = decode_utf8(part.data() + p, part.size() - p);
        ASSERT_NE(c.code_point, kInvalidCodePoint);
        p += c.length;
      }
      joined += part;
    }
    joined += stream.flush();
    ASSERT_EQ(joined, text);
  }
}

}  // namespace
}  // namespace sentinel
