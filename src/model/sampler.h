// Chooses the next token from logits.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sentinel {

struct SamplingOptions {
  double temperature = 0.8;       // 0: greedy
  int top_k = 40;                 // 0: all
  double top_p = 1;               // 1: all
  double repetition_penalty = 1;  // 1: none
  uint64_t seed = 0;
};

// Same seed and same logits, same tokens on every machine and with any number of threads: the
// randomness of draw n for a token is a function of seed, n and token alone. So two samplers that
// make the same draw from similar logits mostly agree, which speculative decoding lives on. Steps
// as in Hugging Face transformers: repetition penalty, temperature, top-k, top-p. A NaN logit is
// never chosen.
class Sampler {
 public:
  // Error (usage) for options out of range. Allocates all that sampling needs.
  Sampler(const SamplingOptions& options, int vocab_size);

  // A token of the sequence so far (prompt included), for the repetition penalty.
  void accept(int32_t token);
  // logits [vocab_size]; allocates nothing. Error (runtime) when no logit is a number.
  int32_t sample(std::span<const float> logits);
  // The next sample() is draw n; without it draws are numbered 0, 1, 2, ...
  void seek(int64_t n) { draw_ = n; }

 private:
  struct Candidate {
    float score;
    int32_t token;
    // Best first; equal scores by token, so that the order is total.
    bool operator<(const Candidate& other) const {
      return score != other.score ? score > other.score : token < other.token;
    }
  };

  void load_scores(std::span<const float> logits);
  void penalise();  // the scores of tokens that were seen
  // candidates_, in no order: the k best; those from a score on.
  void select_top(size_t k);
  void select_from(float lowest);
  float relative_score(float score) const;
  // Of the whole vocabulary, and the score below which nothing is in the nucleus of top-p.
  double total_weight() const;
  float lowest_of_nucleus(double total) const;
  void cut_top_p(double total);
  int32_t draw();

  SamplingOptions options_;
  int64_t draw_ = 0;
  std::vector<float> scores_;  // [vocab_size] after the penalty
  float best_score_ = 0;
  int32_t best_token_ = 0;
  std::vector<uint8_t> seen_;  // [vocab_size]
  bool penalise_;
  std::vector<Candidate> candidates_;  // capacity vocab_size
};

}  // namespace sentinel
