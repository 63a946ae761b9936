// A session that runs ahead: drafts are verified by the target model in one pass, and steps that
// follow a draft are answered from it. Its logits are the target's logits for the tokens that were
// really taken, so whatever is sampled from them is what the target alone would have given.
#pragma once

#include <memory>
#include <vector>

#include "model/speculative/draft_length.h"
#include "model/speculative/drafter.h"

namespace sentinel {

struct DrafterReport {
  std::string name;
  int64_t rounds = 0, drafted = 0, accepted = 0;
  double acceptance = 0;  // recent, of a token whose predecessors were right
  double token_ms = 0;    // to draft one
  double speed_up = 1;    // of its recent rounds over single steps
  bool off = false;       // did not pay at the end
};

struct VerifyReport {
  int64_t steps = 0;          // tokens taken
  int64_t passes = 0;         // of the target model
  int64_t single_passes = 0;  // of them without a draft
  double single_ms = 0;       // the target's time for one token
  double seconds = 0;         // drafting and verifying, all of it
  // Against single steps of the target at single_ms.
  double speed_up = 0;
  std::vector<DrafterReport> drafters;
};

// One sequence. Error (usage) for more.
class VerifiedSession : public Session {
 public:
  // Drafters are asked in order; the first one that pays and has a guess is used. `draft_length`
  // above 0 (up to kMaxDraft) drafts so many tokens whether it pays or not; 0: by what was
  // measured.
  VerifiedSession(std::unique_ptr<Session> target, int vocab_size,
                  std::vector<std::unique_ptr<Drafter>> drafters, int draft_length = 0);

  int max_sequences() const override { return 1; }
  int max_length() const override { return target_->max_length(); }
  int length(int) const override { return static_cast<int>(history_.size()); }
  void prefill(int sequence, std::span<const int32_t> tokens, float* logits) override;
  void prefill(int sequence, std::span<const int32_t> tokens, const LogitsSink& sink) override;
  void window(int sequence, std::span<const int32_t> tokens, float* logits) override;
  void step(std::span<const int32_t> tokens, float* logits) override;
  void truncate(int sequence, int length) override;
  // Sees drafted positions too, also those that are dropped.
  void set_observer(Observer* observer) override { target_->set_observer(observer); }

  VerifyReport report() const;

 private:
  struct Source {
    std::unique_ptr<Drafter> drafter;
    DraftLength length;
    int64_t rounds = 0, drafted = 0, accepted = 0;
    bool measured = false;  // what a draft token costs
  };

  void forget_drafts();  // ends the round and drops what was not taken
  Source* make_draft();  // null: none
  Source* make_trial();  // drafts that cost nothing, to measure a pass over several rows
  void verify(int32_t token, float* logits);

  std::unique_ptr<Session> target_;
  size_t vocab_;
  int fixed_length_;
  std::vector<Source> sources_;
  TargetCost cost_;
  std::vector<int32_t> history_;  // tokens taken
  int64_t draws_ = 0;             // samples that the caller has made since its prefill
  // The present round: drafts, how many of them were taken, logits behind each [1 + drafts, vocab].
  Source* source_ = nullptr;
  Source trial_;
  std::vector<int32_t> drafts_;
  size_t taken_ = 0;
  double draft_seconds_ = 0, pass_seconds_ = 0;
  std::vector<float> rows_;
  std::vector<int32_t> pass_;  // token and drafts
  VerifyReport totals_;
};

}  // namespace sentinel
