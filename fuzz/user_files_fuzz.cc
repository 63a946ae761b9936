// Any bytes as each of the small files that users hand over: agency script, preset, pruning plan,
// result file, integration weights.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

#include "app/generate/agency_script.h"
#include "app/prune/prune_plan.h"
#include "app/report/result_file.h"
#include "base/files.h"
#include "model/agency/preset.h"
#include "model/integration/weights.h"
#include "scratch.h"
#include "tiny_config.h"

using namespace sentinel;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  accepted([&] { parse_script(text, "fuzz"); });
  accepted([&] { read_result(parse_json(text, "fuzz"), "fuzz"); });
  accepted([&] { parse_integration(std::as_bytes(std::span(data, size)), tiny_config(), "fuzz"); });
  static const std::filesystem::path file = scratch_path("user_file");
  write_scratch(file, text);
  accepted([&] {
    HeadTable heads(tiny_config());
    apply_preset(load_preset(file), heads);
  });
  accepted([&] { read_plan(file, tiny_config(), ""); });
  return 0;
}
