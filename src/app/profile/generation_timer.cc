#include "app/profile/generation_timer.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"

namespace sentinel {
namespace {

constexpr int kSettlingSteps = 8;

int longest(const GenerationWork& work) {
  size_t length = 0;
  for (const auto& prompt : work.prompts) length = std::max(length, prompt.size());
  return static_cast<int>(length);
}

// logits [n_sequences, vocab_size] of every prompt's last token.
void prefill_all(Session& session, const GenerationWork& work, std::vector<float>& logits,
                 int vocab_size) {
  for (size_t i = 0; i < work.prompts.size(); ++i) {
    session.prefill(static_cast<int>(i), work.prompts[i],
                    logits.data() + i * static_cast<size_t>(vocab_size));
  }
}

// What holds single operations in the trace, if there is one.
class Spans {
 public:
  explicit Spans(OpTrace* trace) : trace_(trace) {}
  int64_t now() const { return trace_ ? OpTrace::now_ns() : 0; }
  // From `begin` until now.
  void add(Op op, int64_t begin) {
    if (trace_) trace_->span(op, begin, OpTrace::now_ns());
  }

 private:
  OpTrace* trace_;
};

void forget_all(Session& session) {
  for (int i = 0; i < session.max_sequences(); ++i) session.truncate(i, 0);
}

// The shared cache holds on to what the model before used for more than one pass over the weights.
void settle(Session& session, const GenerationWork& work, std::vector<float>& logits,
            int vocab_size, const std::atomic<bool>* cancel) {
  const std::vector<int32_t> tokens(work.prompts.size(), work.prompts.front().back());
  prefill_all(session, work, logits, vocab_size);
  for (int step = 1; step < std::min(work.generated_tokens, kSettlingSteps); ++step) {
    throw_if_set(cancel);
    session.step(tokens, logits.data());
  }
  forget_all(session);
}

std::vector<Sampler> make_samplers(const GenerationWork& work, int vocab_size) {
  std::vector<Sampler> samplers;
  for (size_t i = 0; i < work.prompts.size(); ++i) {
    SamplingOptions options;
    options.temperature = work.temperature;
    options.seed = work.seed + i;
    samplers.emplace_back(options, vocab_size);
  }
  return samplers;
}

}  // namespace

void check_context(int64_t prompt_tokens, int64_t new_tokens, int context) {
  if (positions_of(prompt_tokens, new_tokens) <= context) return;
  throw usage_error(
      "a prompt of {} tokens and {} new ones do not fit the model's context of {}; shorten the "
      "prompt or ask for fewer new tokens",
      prompt_tokens, new_tokens, context);
}

GenerationTiming time_generation(Model& model, const GenerationWork& work,
                                 const std::atomic<bool>* cancel) {
  const int n_sequences = static_cast<int>(work.prompts.size());
  check_context(longest(work), work.generated_tokens, model.config().context_length);
  const auto session = model.new_session(
      n_sequences, static_cast<int>(positions_of(longest(work), work.generated_tokens)));
  const int vocab = model.config().vocab_size;
  std::vector<float> logits(static_cast<size_t>(n_sequences) * static_cast<size_t>(vocab));
  std::vector<int32_t> next(static_cast<size_t>(n_sequences));
  std::vector<Sampler> samplers = make_samplers(work, vocab);
  GenerationTiming timing;
  timing.steps.reserve(static_cast<size_t>(work.generated_tokens));
  timing.tokens.reserve(static_cast<size_t>(work.generated_tokens));
  Spans spans(work.trace);
  const auto emit = [&] {
    const int64_t begin = spans.now();
    for (size_t i = 0; i < next.size(); ++i) {
      next[i] = samplers[i].sample(std::span(logits).subspan(i * size_t(vocab), size_t(vocab)));
    }
    timing.tokens.push_back(next[0]);
    spans.add(Op::sampling, begin);
  };

  throw_if_set(cancel);
  settle(*session, work, logits, vocab, cancel);

  if (work.trace) work.trace->clear();
  session->set_trace(work.trace);
  const int64_t generation_begin = spans.now();
  const double start = now_s();
  prefill_all(*session, work, logits, vocab);
  timing.prefill = now_s() - start;
  spans.add(Op::prefill, generation_begin);
  emit();
  double last = now_s();
  timing.first_token = last - start;
  for (int step = 1; step < work.generated_tokens; ++step) {
    throw_if_set(cancel);
    const int64_t step_begin = spans.now();
    session->step(next, logits.data());
    emit();
    spans.add(Op::step, step_begin);
    const double now = now_s();
    timing.steps.push_back(now - last);
    last = now;
  }
  timing.total = last - start;
  spans.add(Op::generation, generation_begin);
  return timing;
}

}  // namespace sentinel
