// Where guesses of the next tokens come from.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/model.h"
#include "model/sampler.h"

namespace sentinel {

class Drafter {
 public:
  virtual ~Drafter() = default;
  virtual const char* name() const = 0;
  // What drafting a token costs, measured on a few of them; forgets the history.
  virtual double measure_token_seconds() { return 0; }
  // Up to `most` tokens that may follow `history` into `out`; none is an answer too. `draw` is the
  // number of the sampler's draw that will choose the first of them.
  virtual void draft(std::span<const int32_t> history, int64_t draw, int most,
                     std::vector<int32_t>& out) = 0;
};

// What followed when the last tokens stood there before: the longest match of 4 to 2 tokens, the
// latest one.
class NgramDrafter : public Drafter {
 public:
  const char* name() const override { return "ngram"; }
  void draft(std::span<const int32_t> history, int64_t draw, int most,
             std::vector<int32_t>& out) override;
};

// A smaller model of the same vocabulary, sampling with the target's own randomness: where both
// models agree roughly, they mostly choose the same token.
class ModelDrafter : public Drafter {
 public:
  // The repetition penalty is not applied to drafts. `model` must outlive the drafter.
  ModelDrafter(Model& model, int max_length, const SamplingOptions& sampling);
  const char* name() const override { return "model"; }
  double measure_token_seconds() override;
  void draft(std::span<const int32_t> history, int64_t draw, int most,
             std::vector<int32_t>& out) override;

 private:
  void feed(std::span<const int32_t> history);  // logits_ then belong to its last token

  std::unique_ptr<Session> session_;
  Sampler sampler_;
  std::vector<int32_t> seen_;  // tokens in the session
  std::vector<float> logits_;
};

}  // namespace sentinel
