// Any text as the result file of an interrupted `sentinel profile`, which --resume reads back,
// goes on with and saves again.
#include <cstdint>
#include <nlohmann/json.hpp>

#include "app/report/profile_json.h"
#include "app/report/profile_json_read.h"
#include "app/report/profile_tables.h"
#include "app/report/recommend.h"
#include "app/report/result_file.h"
#include "app/report/summary_md.h"
#include "app/sweep/profile_options.h"
#include "base/files.h"
#include "json_mutator.h"
#include "scratch.h"

namespace {

// As open_earlier_run() does, which looks at this machine and this build too.
sentinel::ProfileOptions read_options(const nlohmann::json& args) {
  try {
    return sentinel::options_from_args(args);
  } catch (const nlohmann::json::exception& error) {
    throw sentinel::Error(sentinel::ErrorKind::bad_input, error.what());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sentinel;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  accepted([&] {
    ProfileResult result = read_profile_result(parse_json(text, "fuzz"), "fuzz");
    accepted([&] { check_options(read_options(result.args)); });
    result.recommendation = recommend(result);
    const nlohmann::json again = to_json(result);
    to_text(again);
    summary_markdown(result);
    read_result(again, "fuzz");
  });
  return 0;
}
