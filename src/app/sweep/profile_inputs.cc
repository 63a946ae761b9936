#include "app/sweep/profile_inputs.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/profile/generation_timer.h"
#include "app/prune/calibration.h"
#include "app/sweep/integration_points.h"
#include "app/sweep/throughput.h"
#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {

constexpr size_t kCalibrationWindows = 8;

TokenizedText open_text(const Tokenizer& tokenizer, const std::string& path, const char* bundled) {
  TokenizedText text;
  text.path = path.empty() ? bundled_file(bundled).string() : path;
  EvalText loaded = load_eval_text(text.path, tokenizer);
  text.sha256 = std::move(loaded.sha256);
  text.tokens = std::move(loaded.tokens);
  return text;
}

// What is measured on next to nothing stands in the report like any other measurement.
void warn_of_few(const std::string& path, int64_t tokens, const char* what,
                 std::vector<std::string>& warnings) {
  if (tokens >= kMinScoredTokens) return;
  warnings.push_back(fmt::format("warning: {}: {} tokens; {} of fewer than {} say next to nothing",
                                 printable(path), tokens, what, kMinScoredTokens));
}

int64_t scored_tokens(const TokenizedText& text, const ModelConfig& config, int max_windows) {
  EvalOptions options;
  options.max_windows = max_windows;
  int64_t scored = 0;
  for (const auto& window : eval_windows(config, text.tokens, options)) {
    scored += std::ssize(window) - 1;
  }
  return scored;
}

std::string model_sample(const Checkpoint& checkpoint) {
  constexpr size_t kBytes = size_t{64} << 10;
  std::string text = checkpoint.raw_config().dump();
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    const size_t bytes = std::min(tensor.bytes, kBytes), from = (tensor.bytes - bytes) / 2;
    std::string part(bytes, '\0');
    checkpoint.read({tensor.data + from, bytes}, reinterpret_cast<std::byte*>(part.data()));
    text += fmt::format("\n{} {} {}", tensor.name, tensor.bytes, sha256_hex(part));
  }
  return sha256_hex(text);
}

}  // namespace

nlohmann::json fingerprints(const ProfileInputs& inputs,
                            const std::vector<ProfileInputs>& compared) {
  const auto of_text = [](const TokenizedText& text) {
    return text.sha256.empty() ? nlohmann::json(nullptr) : nlohmann::json(text.sha256);
  };
  nlohmann::json prints = {{"model", model_sample(*inputs.checkpoint)},
                           {"text", of_text(inputs.text)},
                           {"calibration", of_text(inputs.calibration)},
                           {"recovery", of_text(inputs.recovery)},
                           {"integration_text", of_text(inputs.integration)},
                           {"prompts", sha256_hex(to_json(inputs.prompts).dump() +
                                                  to_json(inputs.throughput_prompts).dump())}};
  for (const ProfileInputs& other : compared) {
    prints["model " + other.model] = model_sample(*other.checkpoint);
  }
  return prints;
}

EvalOptions eval_options(const ProfileOptions& options, const ProfileInputs& inputs,
                         const std::atomic<bool>* cancel) {
  EvalOptions eval;
  eval.max_windows = options.max_eval_windows;
  eval.tokenizer = inputs.tokenizer.get();
  eval.cancel = cancel;
  return eval;
}

namespace {

// One text, of which each step that fits something to it takes what it needs.
void open_calibration(const ProfileOptions& options, ProfileInputs& inputs) {
  if (!ranks_by_calibration(options) && !recovers(options) && !fits_points(options)) return;
  const TokenizedText text =
      open_text(*inputs.tokenizer, options.calibration, "texts/calibration.txt");
  const ModelConfig& config = inputs.checkpoint->config();
  if (ranks_by_calibration(options)) {
    inputs.calibration = text;
    warn_of_few(text.path, std::ssize(text.tokens), "rankings", inputs.warnings);
    inputs.calibration.tokens.resize(std::min(
        text.tokens.size(), kCalibrationWindows * static_cast<size_t>(config.context_length)));
  }
  if (recovers(options)) {
    inputs.recovery = text;
    check_calibration(text.path, text.tokens.size());
  }
  if (fits_points(options)) {
    inputs.integration = text;
    check_integration_text(text.tokens.size(), config, points_fit_options());
  }
}

}  // namespace

ProfileInputs open_inputs(const ProfileOptions& options) {
  ProfileInputs inputs;
  inputs.model = model_of(options);
  if (inputs.model.empty()) inputs.model = bundled_file("models/sentinel-mini").string();
  const auto texts =
      options.custom_prompts.empty() ? builtin_prompts() : read_prompts(options.custom_prompts);
  inputs.checkpoint = Checkpoint::open(inputs.model);
  const int context = inputs.checkpoint->config().context_length;
  check_context(std::max(options.sequence_length, 1), options.generated_tokens, context);
  inputs.tokenizer = Tokenizer::load(inputs.checkpoint->folder());
  inputs.text = open_text(*inputs.tokenizer, options.text, "texts/validation.txt");
  warn_of_few(inputs.text.path,
              scored_tokens(inputs.text, inputs.checkpoint->config(), options.max_eval_windows),
              "perplexities", inputs.warnings);
  open_calibration(options, inputs);
  inputs.prompts = make_prompts(*inputs.tokenizer, texts, options.batch_size,
                                options.sequence_length, inputs.text.tokens);
  for (const auto& prompt : inputs.prompts) {
    check_context(std::ssize(prompt.tokens), options.generated_tokens, context);
  }
  if (!tests_throughput(options)) return inputs;
  const int count = std::min(static_cast<int>(texts.size()), kThroughputPrompts);
  inputs.throughput_prompts =
      make_prompts(*inputs.tokenizer, texts, count, options.sequence_length, inputs.text.tokens);
  for (const auto& prompt : inputs.throughput_prompts) {
    check_context(std::ssize(prompt.tokens), kThroughputTokens, context);
  }
  return inputs;
}

}  // namespace sentinel
