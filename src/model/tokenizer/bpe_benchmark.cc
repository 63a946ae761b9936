// Tokenizer speed. items_per_second = tokens per second on one core.
#include <benchmark/benchmark.h>

#include <string>

#include "base/files.h"
#include "base/rng.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {

constexpr const char* kFolders[] = {"models/sentinel-mini", "tests/data/gpt2-tokenizer"};

// range(0): 0 = the bundled model's vocabulary of 4,096 tokens, 1 = GPT-2's of 50,257.
std::unique_ptr<Tokenizer> load(const benchmark::State& state) {
  return Tokenizer::load(bundled_file(kFolders[state.range(0)]));
}

void encode(benchmark::State& state, const std::string& text) {
  const auto tokenizer = load(state);
  size_t n_tokens = 0;
  for (auto _ : state) n_tokens += tokenizer->encode(text).size();
  state.SetItemsProcessed(static_cast<int64_t>(n_tokens));
  state.SetBytesProcessed(static_cast<int64_t>(text.size()) * state.iterations());
}

void BM_encode_english(benchmark::State& state) {
  encode(state, read_file(bundled_file("texts/validation.txt")));
}
BENCHMARK(BM_encode_english)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

// One piece of 1 MB: the heap over a linked list.
void BM_encode_letters_without_space(benchmark::State& state) {
  Rng rng(1);
  std::string text(1 << 20, 'a');
  for (char& c : text) c = static_cast<char>('a' + rng.below(26));
  encode(state, text);
}
BENCHMARK(BM_encode_letters_without_space)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void BM_decode_english(benchmark::State& state) {
  const auto tokenizer = load(state);
  const auto ids = tokenizer->encode(read_file(bundled_file("texts/validation.txt")));
  for (auto _ : state) benchmark::DoNotOptimize(tokenizer->decode(ids));
  state.SetItemsProcessed(static_cast<int64_t>(ids.size()) * state.iterations());
}
BENCHMARK(BM_decode_english)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

void BM_load(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(load(state));
}
BENCHMARK(BM_load)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sentinel
