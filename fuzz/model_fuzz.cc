// A whole checkpoint, config.json, a NUL byte and model.safetensors: what is accepted is packed for
// every level and run.
#include <cstdint>
#include <nlohmann/json.hpp>
#include <span>
#include <vector>

#include "model/checkpoint/memory_checkpoint.h"
#include "model/model.h"
#include "scratch.h"

namespace {
using namespace sentinel;

constexpr int64_t kMostParameters = 1 << 14;  // keeps one input to milliseconds

std::shared_ptr<const Checkpoint> open(std::string_view config, std::span<const std::byte> file) {
  MemoryCheckpointSource source;
  source.config_json = config;
  source.tensors = parse_safetensors(file, "fuzz");
  return open_memory_checkpoint(std::move(source));
}

void run(const std::shared_ptr<const Checkpoint>& checkpoint, int level, AgencyMode agency) {
  static const auto pool = std::make_shared<ThreadPool>(1);
  ModelOptions options;
  options.level = level;
  options.pool = pool;
  options.agency = agency;
  const auto model = Model::create(checkpoint, options);
  const ModelConfig& config = model->config();
  const int length = std::min(4, config.context_length);
  const auto session = model->new_session(1, length);
  std::vector<float> logits(static_cast<size_t>(config.vocab_size));
  const int32_t last = config.vocab_size - 1;
  session->prefill(0, std::span(&last, 1), logits.data());
  for (int i = 1; i < length; ++i) session->step(std::span(&last, 1), logits.data());
  model->bytes_per_token(length);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto parts = split_at_nul({reinterpret_cast<const char*>(data), size});
  // Views of 4-byte elements: a mapped file starts at a page.
  const std::vector<char> aligned(parts.second.begin(), parts.second.end());
  accepted([&] {
    const auto checkpoint = open(parts.first, std::as_bytes(std::span(aligned)));
    if (checkpoint->parameter_count() > kMostParameters) return;
    if (checkpoint->config().n_layers > 64 || checkpoint->config().context_length > 4096) return;
    for (int level = 0; level < 4; ++level) {
      accepted([&] { run(checkpoint, level, AgencyMode::off); });
      accepted([&] { run(checkpoint, level, AgencyMode::automatic); });
    }
  });
  return 0;
}
