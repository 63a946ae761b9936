#include <random>

#include "api/cancel.h"
#include "api/impl.h"
#include "app/generate/generate_text.h"
#include "base/error.h"

namespace sentinel {
namespace {

// Stands in where a model came without tokenizer: every token has no text.
class NoTokenizer : public Tokenizer {
 public:
  explicit NoTokenizer(int vocab_size) : vocab_size_(vocab_size) {}
  int vocab_size() const override { return vocab_size_; }
  std::vector<int32_t> encode(std::string_view, bool) const override { return {}; }
  std::string decode(std::span<const int32_t>) const override { return ""; }
  std::string_view token_bytes(int32_t) const override { return ""; }
  bool is_special(int32_t) const override { return false; }

 private:
  int vocab_size_;
};

uint64_t new_seed() {
  std::random_device device;
  return device();
}

VerificationReport to_public(const VerifyReport& report) {
  VerificationReport out{.steps = report.steps,
                         .baseline_passes = report.passes,
                         .single_passes = report.single_passes,
                         .single_ms = report.single_ms,
                         .seconds = report.seconds,
                         .speed_up = report.speed_up};
  for (const DrafterReport& d : report.drafters) {
    out.drafters.push_back(
        {d.name, d.rounds, d.drafted, d.accepted, d.acceptance, d.token_ms, d.speed_up, d.off});
  }
  return out;
}

// The engine's options, and what they point to while it runs.
class Request {
 public:
  explicit Request(const GenerationOptions& options)
      : seed_(options.seed ? *options.seed : new_seed()), cancel_(options.cancel) {
    engine_.max_new_tokens = options.max_new_tokens;
    engine_.sampling = {.temperature = options.temperature,
                        .top_k = options.top_k,
                        .top_p = options.top_p,
                        .repetition_penalty = options.repetition_penalty,
                        .seed = seed_};
    engine_.stop = options.stop;
    engine_.ignore_eos = options.ignore_eos;
    engine_.cancel = cancel_.flag();
  }
  Request(const Request&) = delete;
  Request& operator=(const Request&) = delete;

  // The engine's options with what steers and times the model. Another controller takes over with
  // the next token; what times is chosen here.
  const GenerateOptions& options(AdaptiveModel::Impl& model) {
    timer_ = model.timer;
    engine_.timer = timer_.get();
    engine_.before_token = [this, &model](int token) {
      if (const auto controller = model.controller) controller->before_token(token, cancel_.flag());
    };
    engine_.after_step = [&model](int64_t ns) {
      if (const auto controller = model.controller) controller->after_step(ns);
    };
    return engine_;
  }

  GenerationResult result(Generation generation, std::vector<int32_t> prompt) const {
    GenerateTimings& timings = generation.timings;
    GenerationResult out;
    out.text = std::move(generation.text);
    out.tokens = std::move(generation.tokens);
    out.prompt_tokens = std::move(prompt);
    out.stop_reason = to_string(generation.stop_reason);
    out.seed = seed_;
    out.timings.tokenize_ms = timings.tokenize_ms;
    out.timings.first_token_ms = timings.first_token_ms;
    out.timings.prefill_ms = timings.prefill_ms;
    out.timings.sampling_ms = timings.sampling_ms;
    out.timings.prefill_tokens_per_second = timings.prefill_tokens_per_second();
    out.timings.decode_tokens_per_second = timings.decode_tokens_per_second();
    out.timings.step_ns = std::move(timings.step_ns);
    return out;
  }

 private:
  const uint64_t seed_;
  const CancelFlag cancel_;
  std::shared_ptr<OperationTimer> timer_;
  GenerateOptions engine_;
};

}  // namespace

GenerationResult AdaptiveModel::generate(std::string_view prompt,
                                         const GenerationOptions& options) {
  const Tokenizer& tokenizer = require_tokenizer(impl_->baseline.impl());
  Request request(options);
  std::vector<int32_t> ids;
  if (!impl_->decider) {
    Generation generation = generate_text(*impl_->model, tokenizer, prompt, request.options(*impl_),
                                          options.on_token, &ids);
    return request.result(std::move(generation), std::move(ids));
  }
  VerifyReport report;
  Generation generation =
      generate_verified(*impl_->decider, impl_->model.get(), tokenizer, prompt,
                        request.options(*impl_), impl_->verify, report, options.on_token, &ids);
  GenerationResult result = request.result(std::move(generation), std::move(ids));
  result.verification = to_public(report);
  return result;
}

GenerationResult AdaptiveModel::generate_ids(std::span<const int32_t> prompt,
                                             const GenerationOptions& options) {
  const BaselineModel::Impl& baseline = impl_->baseline.impl();
  const NoTokenizer none(impl_->model->config().vocab_size);
  if (!baseline.tokenizer && !options.stop.empty()) require_tokenizer(baseline);
  const Tokenizer& tokenizer = baseline.tokenizer ? *baseline.tokenizer : none;
  Request request(options);
  std::vector<int32_t> ids(prompt.begin(), prompt.end());
  if (!impl_->decider) {
    Generation generation = generate_tokens(*impl_->model, tokenizer, prompt,
                                            request.options(*impl_), options.on_token);
    return request.result(std::move(generation), std::move(ids));
  }
  VerifyReport report;
  Generation generation =
      generate_verified_tokens(*impl_->decider, impl_->model.get(), tokenizer, prompt,
                               request.options(*impl_), impl_->verify, report, options.on_token);
  GenerationResult result = request.result(std::move(generation), std::move(ids));
  result.verification = to_public(report);
  return result;
}

}  // namespace sentinel
