// The speed of this machine with this model, and what closed heads buy and cost. Half a minute.
#include <sentinel/sentinel.h>
#include <cstdio>
#include <filesystem>

int main() try {
  auto baseline = sentinel::load_baseline_model(sentinel::bundled_model());
  const auto speeds = sentinel::benchmark(baseline, {.n_prompt = {64}, .n_gen = {32}});
  for (const auto& row : speeds.rows)
    std::printf(
        "%-6s %7.0f tokens/s, %3.0f %% of the read bandwidth, %3.0f %% of the arithmetic peak\n",
        row.test.c_str(), row.median_ts, 100 * row.bandwidth_fraction, 100 * row.flops_fraction);

  // The whole picture: the same tables and files as `sentinel profile` makes.
  const auto folder = std::filesystem::temp_directory_path() / "sentinel-example-profile";
  std::filesystem::remove_all(folder);
  const auto run = sentinel::profile({.pruning_levels = {0, 50},
                                      .generated_tokens = 8,
                                      .iterations = 3,
                                      .max_eval_windows = 2,
                                      .max_footprint_mb = 0,
                                      .output_dir = folder.string()});
  std::printf("%s", run.report.c_str());
  std::filesystem::remove_all(folder);
} catch (const sentinel::Error& error) {
  std::fprintf(stderr, "measure: %s\n", error.what());
  return 1;
}
