// Any bytes as each of the small files that users hand over: agency script, preset, pruning plan,
// result file, integration weights.
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <string_view>

#include "app/generate/agency_script.h"
#include "app/prune/prune_plan.h"
#include "app/report/result_file.h"
#include "base/files.h"
#include "model/agency/preset.h"
#include "model/checkpoint/hf_config.h"
#include "model/integration/weights.h"
#include "sentinel/error.h"

namespace {
using namespace sentinel;

const ModelConfig& tiny_config() {
  static const ModelConfig config = parse_hf_config({{"model_type", "gpt2"},
                                                     {"n_layer", 2},
                                                     {"n_head", 2},
                                                     {"n_embd", 4},
                                                     {"n_positions", 8},
                                                     {"vocab_size", 16}},
                                                    "fuzz");
  return config;
}

template <typename Action>
void attempt(Action action) {
  try {
    action();
  } catch (const Error&) {
    // Refused, as it should be.
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  attempt([&] { parse_script(text, "fuzz"); });
  attempt([&] { read_result(parse_json(text, "fuzz"), "fuzz"); });
  attempt([&] { parse_integration(std::as_bytes(std::span(data, size)), tiny_config(), "fuzz"); });
  static const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("sentinel_fuzz_" + std::to_string(getpid()));
  write_file_atomic(file, text);
  attempt([&] {
    HeadTable heads(tiny_config());
    apply_preset(load_preset(file), heads);
  });
  attempt([&] { read_plan(file, tiny_config(), ""); });
  return 0;
}
