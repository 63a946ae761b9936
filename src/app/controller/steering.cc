#include "app/controller/steering.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/statistics.h"

namespace sentinel {
namespace {

void check_model(const ModelInfo& info, const Controller& controller) {
  if (level_preset(info.level).closing_is_final) {
    throw usage_error(
        "controller: level {} gives closed heads' memory back, so they could not be opened again; "
        "use level 1 or 2",
        info.level);
  }
  if (info.level == 0 && controller.holds_speed()) {
    throw usage_error("controller: level 0 computes closed heads too; use level 1 or 2");
  }
  if (info.tracking_interval == 0) {
    throw usage_error("controller: it chooses heads by what is tracked; use agency track or auto");
  }
  if (info.agency == AgencyMode::automatic && controller.limits_perplexity()) {
    throw usage_error(
        "controller: with agency auto heads change by themselves, so no measured perplexity "
        "holds; leave out max_perplexity_increase, or use agency track");
  }
}

double median_tokens_per_second(const std::vector<int64_t>& ns) {
  const double middle = median({ns.begin(), ns.end()});
  return middle > 0 ? 1e9 / middle : 0;
}

HeadImportance mean_contributions(const HeadTable& heads) {
  HeadImportance means;
  for (int layer = 0; layer < heads.n_layers(); ++layer) {
    auto& row = means.emplace_back();
    for (int head = 0; head < heads.n_heads(layer); ++head) {
      row.push_back(heads.mean_contribution({layer, head}));
    }
  }
  return means;
}

}  // namespace

Steering::Steering(Model& model, const ControllerOptions& options, Measure measure)
    : model_(model), controller_(options), measure_(std::move(measure)) {
  check_model(model.info(), controller_);
  report_.goal = controller_.options().goal;
  step_ns_.reserve(static_cast<size_t>(controller_.options().interval));
}

void Steering::release() { make(controller_.open_all(model_.heads())); }

void Steering::before_token(int index, const std::atomic<bool>* cancel) {
  cancel_ = cancel;
  if (index == 0 && version_ != 0) first_token_ = token_ + 1;
  token_ = first_token_ + index;
  if (index == 0) step_ns_.clear();
  if (controller_.limits_perplexity()) {
    if (version_ != model_.heads().version()) search();
  } else if (version_ == 0 && measure_) {
    measure_text();
  }
  if (controller_.holds_speed() && std::ssize(step_ns_) == controller_.options().interval) decide();
  version_ = model_.heads().version();
}

void Steering::after_step(int64_t ns) {
  if (std::ssize(step_ns_) < controller_.options().interval) step_ns_.push_back(ns);
}

// One pass over the text, with these heads closed, beside the sequence: it leaves no trace in the
// table, so that a session whose plan is of the same version still has the right one.
TextScore Steering::score(const std::vector<HeadId>& closed) {
  HeadTable& heads = model_.heads();
  const HeadTable before = heads;
  const double start = now_s();
  heads.set_automatic(false);
  heads.restart_tracking();
  for (const HeadId id : closed) heads.set_gate(id, 0);
  const auto restore = [&] {
    if (closed.empty()) from_text_ = mean_contributions(heads);
    heads = before;
    report_.seconds += now_s() - start;
    ++report_.evaluations;
  };
  try {
    const TextScore score = measure_(cancel_);
    restore();
    return score;
  } catch (...) {
    restore();
    throw;
  }
}

void Steering::measure_text() {
  const TextScore score = this->score({});
  report_.perplexity_before = score.perplexity;
  report_.tokens_scored = score.tokens;
}

void Steering::search() {
  make(controller_.begin_search(model_.heads()));
  measure_text();
  while (true) {
    const std::vector<HeadId> trial = controller_.next_trial(model_.heads(), from_text_);
    if (trial.empty()) break;
    make(controller_.judge((score(trial).perplexity / report_.perplexity_before - 1) * 100));
  }
  if (controller_.holds_speed()) make(controller_.open_all(model_.heads()));
}

void Steering::decide() {
  const double speed = median_tokens_per_second(step_ns_);
  report_.tokens_per_second = speed;
  step_ns_.clear();
  make(controller_.hold_speed(model_.heads(), importance(), speed, head_share()));
}

HeadImportance Steering::importance() const {
  return from_text_.empty() ? mean_contributions(model_.heads()) : from_text_;
}

// Of the multiplications of a token, as a share of its time.
double Steering::head_share() const {
  const ModelConfig& config = model_.config();
  return 8.0 * config.head_dim * config.d_model / model_.flops_per_token(0);
}

void Steering::make(ControllerMoves moves) {
  for (ControllerMove& move : moves) {
    move.token = token_;
    if (move.gate_before != move.gate_after) {
      model_.heads().set_gate(move.head, static_cast<float>(move.gate_after));
    }
    report_.moves.push_back(std::move(move));
  }
}

ControllerReport Steering::report() const {
  ControllerReport report = report_;
  const ControllerOptions& options = controller_.options();
  report.heads_closed = controller_.heads_closed(model_.heads());
  if (controller_.limits_perplexity()) {
    report.perplexity_after = report.perplexity_before * (1 + controller_.increase() / 100);
  }
  if (!controller_.holds_speed()) {
    if (report.evaluations > 0) report.goal_met = true;  // a search never ends beyond the goal
  } else if (report.tokens_per_second > 0) {
    report.goal_met = report.tokens_per_second >= *options.tokens_per_second;
  }
  return report;
}

}  // namespace sentinel
