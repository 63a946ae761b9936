// Close the heads that matter least, look at the cost, save the smaller model, open it again.
#include <sentinel/sentinel.h>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

int main() try {
  auto baseline = sentinel::load_baseline_model(sentinel::bundled_model());
  auto model = sentinel::load_adaptive_model(baseline, {.optimization_level = 1});
  auto dense = sentinel::load_adaptive_model(baseline, {.optimization_level = 1});
  std::ifstream file(sentinel::bundled_text("validation"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};

  const auto closed = model.prune(20);
  const auto result = model.evaluate(text, {.max_windows = 4, .against = &dense});
  std::printf("%zu heads closed: perplexity %.3f (was %.3f), the same favourite in %.1f %%\n",
              closed.size(), result.perplexity, result.divergence->perplexity_base,
              100 * result.divergence->top1_agreement);

  const auto folder = std::filesystem::temp_directory_path() / "sentinel-example-pruned";
  std::filesystem::remove_all(folder);
  model.save_pretrained(folder.string());
  auto small = sentinel::load_baseline_model(folder.string());
  std::printf("saved: %lld of %lld parameters are left\n",
              static_cast<long long>(small.parameter_count()),
              static_cast<long long>(baseline.parameter_count()));
  std::filesystem::remove_all(folder);
} catch (const sentinel::Error& error) {
  std::fprintf(stderr, "prune: %s\n", error.what());
  return 1;
}
