// Any bytes as a tokenizer.json.
#include <cstddef>
#include <cstdint>

#include "tokenizer_fuzz_common.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  sentinel::expect_success_or_bad_input([&] {
    const auto spec = sentinel::parse_tokenizer_json(input, "tokenizer.json");
    sentinel::check_tokenizer(spec, {input.substr(0, 512), input.substr(size - size / 8)});
  });
  return 0;
}
