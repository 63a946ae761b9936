#include "model/speculative/verified_session.h"

#include <algorithm>

#include "base/clock.h"
#include "base/error.h"
#include "model/session_checks.h"

namespace sentinel {
namespace {

// The target's own speed has to be known first.
constexpr int kFirstPlainSteps = 4, kFirstPlainStepsFixed = 2;

}  // namespace

VerifiedSession::VerifiedSession(std::unique_ptr<Session> target, int vocab_size,
                                 std::vector<std::unique_ptr<Drafter>> drafters, int draft_length)
    : target_(std::move(target)),
      vocab_(static_cast<size_t>(vocab_size)),
      fixed_length_(draft_length) {
  if (draft_length < 0 || draft_length > kMaxDraft) {
    throw usage_error("draft_length: {} is out of range; give 1 to {}, or 0 for what pays",
                      draft_length, kMaxDraft);
  }
  for (auto& drafter : drafters) sources_.push_back({std::move(drafter), {}});
  history_.reserve(static_cast<size_t>(max_length()));
  drafts_.reserve(kMaxDraft);
  pass_.reserve(kMaxDraft + 1);
  rows_.resize((kMaxDraft + 1) * vocab_);
}

void VerifiedSession::forget_drafts() {
  if (source_) {
    source_->length.add(static_cast<int>(drafts_.size()), static_cast<int>(taken_), draft_seconds_,
                        pass_seconds_);
    ++source_->rounds;
    source_->drafted += std::ssize(drafts_);
    source_->accepted += static_cast<int64_t>(taken_);
  }
  source_ = nullptr;
  drafts_.clear();
  taken_ = 0;
  target_->truncate(0, static_cast<int>(history_.size()));
}

void VerifiedSession::prefill(int sequence, std::span<const int32_t> tokens, float* logits) {
  check_sequence(sequence, 1);
  forget_drafts();
  target_->prefill(0, tokens, logits);
  history_.insert(history_.end(), tokens.begin(), tokens.end());
  draws_ = 0;
}

void VerifiedSession::prefill(int sequence, std::span<const int32_t> tokens,
                              const LogitsSink& sink) {
  check_sequence(sequence, 1);
  forget_drafts();
  target_->prefill(0, tokens, sink);
  history_.insert(history_.end(), tokens.begin(), tokens.end());
  draws_ = 0;
}

void VerifiedSession::window(int sequence, std::span<const int32_t> tokens, float* logits) {
  check_sequence(sequence, 1);
  forget_drafts();
  target_->window(0, tokens, logits);
  history_.insert(history_.end(), tokens.begin(), tokens.end());
  draws_ = 0;
}

void VerifiedSession::truncate(int sequence, int length) {
  check_sequence(sequence, 1);
  check_length(length);
  if (length >= std::ssize(history_)) return;
  history_.resize(static_cast<size_t>(length));
  forget_drafts();
}

void VerifiedSession::step(std::span<const int32_t> tokens, float* logits) {
  check_tokens(tokens, static_cast<int>(vocab_));
  check_sequence(static_cast<int>(tokens.size()) - 1, 1);
  check_room(length(0), 1, max_length());
  const double start = now_s();
  ++draws_;
  if (taken_ < drafts_.size() && drafts_[taken_] == tokens[0]) {
    ++taken_;
    history_.push_back(tokens[0]);
    std::copy_n(rows_.data() + taken_ * vocab_, vocab_, logits);
  } else {
    verify(tokens[0], logits);
  }
  ++totals_.steps;
  totals_.seconds += now_s() - start;
}

VerifiedSession::Source* VerifiedSession::make_draft() {
  const int room = max_length() - length(0);
  const int plain = fixed_length_ > 0 ? kFirstPlainStepsFixed : kFirstPlainSteps;
  if (totals_.single_passes < plain) return nullptr;
  if (fixed_length_ == 0 && !cost_.knows_windows()) return make_trial();
  for (Source& source : sources_) {
    if (!source.measured) {
      source.length.expect_token_seconds(source.drafter->measure_token_seconds());
      source.measured = true;
    }
    const int wanted = fixed_length_ > 0 ? fixed_length_ : source.length.choose(cost_);
    const int most = std::min(wanted, room);
    if (most < 1) continue;
    const double start = now_s();
    source.drafter->draft(history_, draws_, most, drafts_);
    draft_seconds_ = now_s() - start;
    if (!drafts_.empty()) return &source;
  }
  return nullptr;
}

VerifiedSession::Source* VerifiedSession::make_trial() {
  constexpr int kTrialDrafts = 2;
  if (sources_.empty() || max_length() - length(0) < kTrialDrafts) return nullptr;
  drafts_.assign(kTrialDrafts, history_.back());
  draft_seconds_ = 0;
  return &trial_;
}

void VerifiedSession::verify(int32_t token, float* logits) {
  forget_drafts();
  history_.push_back(token);
  source_ = make_draft();
  ++totals_.passes;
  const double start = now_s();
  if (!source_) {
    target_->step({&token, 1}, logits);
    ++totals_.single_passes;
  } else {
    pass_.assign(1, token);
    pass_.insert(pass_.end(), drafts_.begin(), drafts_.end());
    target_->window(0, pass_, rows_.data());
    std::copy_n(rows_.data(), vocab_, logits);
  }
  pass_seconds_ = now_s() - start;
  cost_.add(1 + static_cast<int>(drafts_.size()), pass_seconds_);
}

VerifyReport VerifiedSession::report() const {
  VerifyReport report = totals_;
  report.single_ms = cost_.seconds(1) * 1e3;
  report.speed_up = totals_.seconds > 0
                        ? static_cast<double>(totals_.steps) * cost_.seconds(1) / totals_.seconds
                        : 0;
  for (const Source& source : sources_) {
    DrafterReport entry;
    entry.name = source.drafter->name();
    const bool open = &source == source_;  // a round that is not over yet
    entry.rounds = source.rounds + open;
    entry.drafted = source.drafted + (open ? std::ssize(drafts_) : 0);
    entry.accepted = source.accepted + (open ? static_cast<int64_t>(taken_) : 0);
    entry.acceptance = source.length.acceptance();
    entry.token_ms = source.length.token_seconds() * 1e3;
    entry.off = source.length.off();
    entry.speed_up = source.length.measured_speed_up(cost_);
    report.drafters.push_back(std::move(entry));
  }
  return report;
}

}  // namespace sentinel
