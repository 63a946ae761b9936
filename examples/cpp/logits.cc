// The five likeliest next tokens, from the logits.
#include <sentinel/sentinel.h>
#include <algorithm>
#include <cstdio>
#include <numeric>

int main() try {
  auto baseline = sentinel::load_baseline_model(sentinel::bundled_model());
  auto model = sentinel::load_adaptive_model(baseline, {.optimization_level = 1});
  const std::string prompt = "It was a cold winter morning, and the old";
  const sentinel::Logits logits = model.forward(baseline.encode(prompt));  // [rows, vocab_size]
  const std::span<const float> last = logits.row(logits.rows - 1);

  std::vector<int32_t> order(last.size());
  std::iota(order.begin(), order.end(), 0);
  std::partial_sort(order.begin(), order.begin() + 5, order.end(),
                    [&](int32_t a, int32_t b) { return last[a] > last[b]; });
  std::printf("%s...\n", prompt.c_str());
  for (int i = 0; i < 5; ++i) {
    const int32_t token = order[i];
    std::printf("  %7.3f  \"%s\"\n", last[token], baseline.decode({&token, 1}).c_str());
  }
} catch (const sentinel::Error& error) {
  std::fprintf(stderr, "logits: %s\n", error.what());
  return 1;
}
