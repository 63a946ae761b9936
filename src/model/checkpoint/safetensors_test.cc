#include "model/checkpoint/safetensors.h"

#include "model/checkpoint/checkpoint_test_util.h"

namespace sentinel {
namespace {
using test::expect_error;
using test::safetensors_bytes;

std::vector<SafetensorsEntry> parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)), "m.safetensors");
}

// Expects the file to be refused with a message that names it and holds the parts.
void refused(const std::string& bytes, std::vector<std::string> parts) {
  parts.emplace_back("m.safetensors");
  expect_error(ErrorKind::bad_input, parts, [&] { parse(bytes); });
}

// A file with one tensor "a", whose entry is given as JSON, and a body of `bytes` bytes.
std::string one(const std::string& entry, size_t bytes) {
  return safetensors_bytes("{\"a\":" + entry + "}", std::string(bytes, 'x'));
}

TEST(Safetensors, ReadsEntriesInFileOrder) {
  const std::string file =
      safetensors_bytes(R"({"__metadata__":{"format":"pt"},)"
                        R"("b":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},)"
                        R"("a":{"dtype":"BF16","shape":[],"data_offsets":[8,10]},)"
                        R"("e":{"dtype":"F16","shape":[3,0],"data_offsets":[8,8]},)"
                        R"("c":{"dtype":"BOOL","shape":[3],"data_offsets":[10,13]}}   )",
                        "01234567abXYZ");
  const auto entries = parse(file);
  ASSERT_EQ(entries.size(), 4U);
  EXPECT_EQ(entries[0].name, "b");
  EXPECT_EQ(entries[0].shape, (std::vector<int64_t>{2, 1}));
  EXPECT_EQ(entries[1].name, "e");
  EXPECT_EQ(entries[1].bytes, 0U);
  EXPECT_EQ(entries[2].name, "a");
  EXPECT_EQ(std::memcmp(entries[2].data, "ab", 2), 0);
  EXPECT_EQ(entries[3].dtype, "BOOL");
  EXPECT_EQ(std::memcmp(entries[3].data, "XYZ", 3), 0);
}

TEST(Safetensors, RefusesShortAndTruncatedFiles) {
  refused("", {"too few"});
  refused("1234567", {"too few"});
  const std::string good = one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})", 16);
  EXPECT_EQ(parse(good).size(), 1U);
  for (size_t length = 0; length < good.size(); ++length) refused(good.substr(0, length), {});
}

TEST(Safetensors, RefusesHeaderLengthBeyondTheFile) {
  std::string file = one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})", 16);
  file[4] = 1;  // 4 GiB more
  refused(file, {"header claims"});
  std::memset(file.data(), 0xff, 8);
  refused(file, {"header claims"});
}

TEST(Safetensors, RefusesHeadersThatAreNotAnObject) {
  refused(safetensors_bytes("", ""), {"JSON"});
  refused(safetensors_bytes("[]", ""), {"not a JSON object"});
  refused(safetensors_bytes("{\"a\":", ""), {"JSON"});
  refused(safetensors_bytes("{} {}", ""), {"JSON"});
  refused(safetensors_bytes(std::string(200000, '['), ""), {"JSON"});
  refused(one("7", 0), {"\"a\"", "not an object"});
}

TEST(Safetensors, RefusesDuplicateNames) {
  const std::string entry = R"("a":{"dtype":"F16","shape":[1],"data_offsets":[0,2]})";
  refused(safetensors_bytes("{" + entry + "," + entry + "}", "xx"), {"twice", "\"a\""});
}

TEST(Safetensors, RefusesOffsetsOutsideTheFile) {
  refused(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,16]})", 15), {"\"a\"", "truncated"});
  refused(one(R"({"dtype":"F32","shape":[4],"data_offsets":[16,0]})", 16), {"not a range"});
  refused(one(R"({"dtype":"F32","shape":[4],"data_offsets":[-16,0]})", 16), {"not a range"});
  refused(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0,18446744073709551615]})", 16), {});
  refused(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0.0,16.0]})", 16), {"not a range"});
  refused(one(R"({"dtype":"F32","shape":[4],"data_offsets":[0]})", 16), {"data_offsets"});
  refused(one(R"({"dtype":"F32","shape":[4]})", 16), {"data_offsets"});
}

TEST(Safetensors, RefusesOverlapGapAndRest) {
  const auto two = [](const char* a, const char* b, size_t bytes) {
    return safetensors_bytes(fmt::format(R"({{"a":{{"dtype":"U8","shape":[4],"data_offsets":{}}},)"
                                         R"("b":{{"dtype":"U8","shape":[4],"data_offsets":{}}}}})",
                                         a, b),
                             std::string(bytes, 'x'));
  };
  EXPECT_EQ(parse(two("[4,8]", "[0,4]", 8)).front().name, "b");
  refused(two("[0,4]", "[3,7]", 7), {"overlap", "\"b\""});
  refused(two("[0,4]", "[0,4]", 4), {"overlap"});
  refused(two("[0,4]", "[5,9]", 9), {"gap", "\"b\""});
  refused(two("[1,5]", "[5,9]", 9), {"gap", "\"a\""});
  refused(two("[0,4]", "[4,8]", 9), {"belong to nothing"});
  refused(safetensors_bytes("{}", "x"), {"belong to nothing"});
}

TEST(Safetensors, RefusesShapesThatDoNotFitTheBytes) {
  refused(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,16]})", 16), {"\"a\"", "needs 12"});
  refused(one(R"({"dtype":"F16","shape":[4],"data_offsets":[0,16]})", 16), {"needs 8"});
  refused(one(R"({"dtype":"F32","shape":[],"data_offsets":[0,16]})", 16), {"needs 4"});
  refused(one(R"({"dtype":"F32","shape":[-4],"data_offsets":[0,16]})", 16), {"\"a\"", "-4"});
  refused(one(R"({"dtype":"F32","shape":[4.0],"data_offsets":[0,16]})", 16), {"4.0"});
  refused(one(R"({"dtype":"F32","shape":4,"data_offsets":[0,16]})", 16), {"shape"});
  // 2^32 * 2^32 * 4 wraps to 0, 2^62 * 4 too.
  refused(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]})", 0),
          {"too large"});
  refused(one(R"({"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]})", 0),
          {"too large"});
}

TEST(Safetensors, RefusesUnknownTypes) {
  refused(one(R"({"dtype":"F4","shape":[4],"data_offsets":[0,2]})", 2),
          {"\"F4\"", "not supported"});
  refused(one(R"({"dtype":7,"shape":[4],"data_offsets":[0,2]})", 2), {"no dtype"});
  refused(one(R"({"shape":[4],"data_offsets":[0,2]})", 2), {"no dtype"});
}

TEST(Safetensors, NamesCannotBreakTheMessage) {
  refused(safetensors_bytes(R"({"a\nb\u0007":7})", ""), {"a?b?"});
}

}  // namespace
}  // namespace sentinel
