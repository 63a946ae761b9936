#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/bench/bench_json.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "cli/verify_arguments.h"

namespace sentinel::cli {
namespace {

struct Arguments {
  ModelArguments model;
  VerifyArguments points;
  BenchOptions bench;
};

void print_rows(const BenchResult& result) {
  std::vector<std::vector<std::string>> table = {
      {"test", "batch", "threads", "level", "weights", "isa", "agency", "closed", "removed", "t/s",
       "std", "median", "step p50 ms", "p99 ms", "MB/token", "GB/s", "of bus", "of peak",
       "RSS MB"}};
  for (const BenchRow& r : result.rows) {
    table.push_back(
        {r.test, std::to_string(r.batch), std::to_string(r.n_threads), std::to_string(r.info.level),
         to_string(r.info.weights), r.info.isa, to_string(r.info.agency),
         fmt::format("{}%", r.heads_closed_percent), fmt::format("{}%", r.heads_removed_percent),
         fmt::format("{:.1f}", r.avg_ts),
         r.samples_ts.size() > 1 ? fmt::format("{:.1f}", r.stddev_ts) : "-",
         fmt::format("{:.1f}", r.median_ts), fmt::format("{:.3f}", r.step_ms_p50),
         fmt::format("{:.3f}", r.step_ms_p99), fmt::format("{:.2f}", r.bytes_per_token / 1e6),
         fmt::format("{:.1f}", r.bandwidth_gbps),
         fmt::format("{:.0f}%", r.bandwidth_fraction * 100),
         fmt::format("{:.0f}%", r.flops_fraction * 100), fmt::format("{:.0f}", r.peak_rss_mb)});
  }
  fmt::print("{}", format_table(table));
  if (result.interrupted) fmt::print("(interrupted)\n");
}

// "off,track" -> {off, track}. Error (usage).
std::vector<AgencyMode> parse_modes(const std::string& text) {
  std::vector<AgencyMode> modes;
  std::stringstream stream(text);
  for (std::string name; std::getline(stream, name, ',');) modes.push_back(parse_agency_mode(name));
  return modes;
}

int run_command(Arguments arguments, const RunContext& context) {
  BenchOptions options = arguments.bench;
  options.agency = parse_modes(arguments.model.agency.value_or(""));
  arguments.model.agency.reset();  // a list here
  options.model = model_options(arguments.model);
  const bool asks_for_threads =
      std::ranges::any_of(options.threads, [](int threads) { return threads > 1; });
  if (options.model.level == 0 && asks_for_threads) say_level_0();
  if (wants_verify(arguments.points)) {
    throw usage_error(
        "--baseline_integration verify: its speed depends on the text; generate reports it");
  }
  auto checkpoint = apply_points(arguments.points, arguments.model.model, options.model);
  if (!checkpoint) checkpoint = open_checkpoint(arguments.model.model);
  options.cancel = context.interrupted;
  Progress progress;
  const BenchResult result = run_bench(checkpoint, options, [&](const BenchProgress& p) {
    progress.update(fmt::format("run {}/{}  {}", p.done + 1, p.total, p.test));
  });
  progress.clear();
  context.emit(bench_json(result, options, *checkpoint));
  if (!context.json) {
    print_rows(result);
    if (options.model.unet) fmt::print("with U-Net skips\n");
    if (options.model.mix_baseline) fmt::print("with baseline mixing\n");
  }
  return result.interrupted ? kExitInterrupted : kExitOk;
}

}  // namespace

Runner setup_bench(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  BenchOptions& bench = a->bench;
  add_model_options(command, a->model, false);
  add_point_options(command, a->points);
  command.get_option("--agency")->description("head tracking: off, track, auto, or a list of them");
  const auto list = [&](const std::string& names, std::vector<int>& values, const char* help) {
    return add_option(command, names, values, help)
        ->delimiter(',')
        ->take_all()
        ->allow_extra_args(false)
        ->type_name("N,...");
  };
  list("-p,n_prompt", bench.prompts, "prefill tests: prompt tokens; 0: none (default: 512)");
  list("-n,n_gen", bench.generations, "decode tests: tokens; 0: none (default: 128)");
  list("-d,n_depth", bench.depths, "tokens already in the context")->default_str("0");
  list("-b,batch", bench.batches, "sequences at a time")->default_str("1");
  list("-t,threads", bench.threads, "worker threads (default: all cores)");
  list("heads_closed", bench.heads_closed, "percent of heads switched off, chosen at random")
      ->default_str("0");
  list("heads_removed", bench.heads_removed,
       "further rows with that percent of heads left out of memory instead");
  add_option(command, "-r,repetitions", bench.repetitions, "timed runs of every row, interleaved")
      ->type_name("N")
      ->capture_default_str();
  add_option(command, "warmup", bench.warmup, "untimed runs of every row before")
      ->type_name("N")
      ->capture_default_str();
  add_option(command, "seed", bench.seed, "of the tokens and of the choice of heads")
      ->type_name("N")
      ->capture_default_str();
  return [a](const RunContext& context) { return run_command(*a, context); };
}

}  // namespace sentinel::cli
