// Heads have a state, a gate and a consent; what is closed is skipped, and what is refused is said.
#include <sentinel/sentinel.h>
#include <cstdio>
#include <fstream>
#include <iterator>

int main() try {
  auto baseline = sentinel::load_baseline_model(sentinel::bundled_model());
  auto model = sentinel::load_adaptive_model(baseline, {.optimization_level = 1});
  std::ifstream file(sentinel::bundled_text("validation"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};

  const auto quality = [&] { return model.evaluate(text, {.max_windows = 4}).perplexity; };
  std::printf("all heads: perplexity %.3f\n", quality());

  model.set_head_state(0, 4, sentinel::HeadState::withdrawn);
  model.set_gate(4, 3, 0.5F);
  std::printf("head 0:4 withdrawn, 4:3 at half: perplexity %.3f\n", quality());

  model.set_consent(2, 1, false);
  if (!model.set_head_state(2, 1, sentinel::HeadState::active)) {
    std::printf("opening head 2:1 without its consent was refused\n");
  }
  const sentinel::AgencyReport report = model.get_agency_report();
  std::printf("%d of %d heads contribute, %lld violation(s)\n", report.heads_active,
              model.info().heads, static_cast<long long>(report.total_violations));
  for (const sentinel::LayerReport& layer : report.layer_reports) {
    std::printf("  layer %d: %d active, %d withdrawn\n", layer.layer, layer.active_heads,
                layer.withdrawn_heads);
  }
} catch (const sentinel::Error& error) {
  std::fprintf(stderr, "heads: %s\n", error.what());
  return 1;
}
