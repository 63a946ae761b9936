// Text from a prompt, token by token: generate [PROMPT [MODEL]]
#include <sentinel/sentinel.h>
#include <cstdio>

int main(int argc, char** argv) try {
  const std::string prompt = argc > 1 ? argv[1] : "Once upon a time";
  auto baseline = sentinel::load_baseline_model(argc > 2 ? argv[2] : sentinel::bundled_model());
  auto model = sentinel::load_adaptive_model(baseline, {.optimization_level = 2});

  std::printf("%s", prompt.c_str());
  auto result = model.generate(
      prompt, {.max_new_tokens = 32, .seed = 7, .on_token = [](int32_t, std::string_view text) {
                 std::fwrite(text.data(), 1, text.size(), stdout);
                 std::fflush(stdout);
                 return true;  // false: stop here
               }});
  const sentinel::RunInfo info = model.info();
  std::printf("\n\n%zu tokens (%s), %.0f tokens/s, first after %.1f ms; level %d, %s, %s\n",
              result.tokens.size(), result.stop_reason.c_str(),
              result.timings.decode_tokens_per_second, result.timings.first_token_ms,
              info.optimization_level, info.weights.c_str(), info.isa.c_str());
} catch (const sentinel::Error& error) {
  std::fprintf(stderr, "generate: %s\n", error.what());
  return 1;
}
