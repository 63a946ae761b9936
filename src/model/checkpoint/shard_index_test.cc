#include "model/checkpoint/shard_index.h"

#include "model/checkpoint/checkpoint_test_util.h"

namespace sentinel {
namespace {
using test::expect_error;

void refused(const std::string& text, std::vector<std::string> parts) {
  parts.emplace_back("index.json");
  expect_error(ErrorKind::bad_input, parts, [&] { ShardIndex::parse(text, "index.json"); });
}

std::string mapped_to(const std::string& file) { return R"({"weight_map":{"a":)" + file + "}}"; }

TEST(ShardIndex, ListsFilesOnce) {
  const auto index = ShardIndex::parse(
      R"({"weight_map":{"a":"2.safetensors","b":"1.safetensors","c":"2.safetensors"}})", "x");
  EXPECT_EQ(index.files(), (std::vector<std::string>{"1.safetensors", "2.safetensors"}));
}

TEST(ShardIndex, RefusesWhatIsNoIndex) {
  refused("", {"JSON"});
  refused("[]", {"weight_map"});
  refused("{}", {"weight_map"});
  refused(R"({"weight_map":{}})", {"weight_map"});
  refused(R"({"weight_map":["a"]})", {"weight_map"});
}

TEST(ShardIndex, NeverLeavesTheFolder) {
  for (const char* file :
       {R"("../x.safetensors")", R"("/x.safetensors")", R"("a/x.safetensors")", R"("x.bin")",
        R"("")", R"(".safetensors")", "7", "null", R"("a\u0000.safetensors")"}) {
    refused(mapped_to(file), {"\"a\"", "expected the name"});
  }
}

TEST(ShardIndex, MustAgreeWithItsFiles) {
  const auto index = ShardIndex::parse(
      R"({"weight_map":{"a":"1.safetensors","b":"1.safetensors","c":"2.safetensors"}})", "x");
  index.check("1.safetensors", {{.name = "b"}, {.name = "a"}});
  const auto check_refused = [&](const char* file, const std::vector<SafetensorsEntry>& entries,
                                 const std::vector<std::string>& parts) {
    expect_error(ErrorKind::bad_input, parts, [&] { index.check(file, entries); });
  };
  check_refused("1.safetensors", {{.name = "a"}}, {"\"b\"", "not in 1.safetensors"});
  check_refused("1.safetensors", {{.name = "a"}, {.name = "b"}, {.name = "c"}}, {"\"c\""});
  check_refused("2.safetensors", {{.name = "c"}, {.name = "d"}}, {"\"d\"", "does not say so"});
}

}  // namespace
}  // namespace sentinel
