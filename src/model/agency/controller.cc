#include "model/agency/controller.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace sentinel {
namespace {

constexpr int kMaxRefusals = 4;  // in a row: the search is over
constexpr int kMaxWait = 64;     // decisions
constexpr int kAtOnce = 16;      // one in so many heads goes at once
constexpr double kMaxPercent = 100;

void check_number(const char* name, double value, double low, double high) {
  if (value >= low && value <= high) return;
  throw usage_error("{}: {} is out of range; give {} to {}", name, value, low, high);
}

std::string goal_of(const ControllerOptions& options) {
  const bool speed = options.tokens_per_second.has_value();
  const bool quality = options.max_perplexity_increase.has_value();
  if (!speed && !quality) {
    throw usage_error(
        "controller: it has no goal; give target_tokens_per_second, max_perplexity_increase or "
        "both");
  }
  if (options.goal.empty()) return speed ? "speed" : "quality";
  if (options.goal == "speed" && !speed) {
    throw usage_error("controller: the goal speed needs target_tokens_per_second");
  }
  if (options.goal == "quality" && !quality) {
    throw usage_error("controller: the goal quality needs max_perplexity_increase");
  }
  if (options.goal == "quality" && speed) {
    throw usage_error(
        "controller: quality closes all that max_perplexity_increase allows, whatever the speed; "
        "leave out target_tokens_per_second, or choose the goal speed");
  }
  if (options.goal != "speed" && options.goal != "quality") {
    throw usage_error("controller: unknown goal \"{}\"; choose one of speed, quality",
                      printable(options.goal));
  }
  return options.goal;
}

ControllerOptions checked(ControllerOptions options) {
  options.goal = goal_of(options);
  if (options.tokens_per_second) {
    check_number("target_tokens_per_second", *options.tokens_per_second, 1e-3, 1e9);
  }
  if (options.max_perplexity_increase) {
    check_number("max_perplexity_increase", *options.max_perplexity_increase, 0, 1e6);
    if (options.text.empty()) {
      throw usage_error("max_perplexity_increase is measured on a text; give controller_text");
    }
  }
  check_number("controller_windows", options.max_windows, 0, 1e6);
  check_number("controller_interval", options.interval, 1, 1e6);
  check_number("controller_margin", options.margin, 0, 1);
  check_number("max_heads_closed", options.max_heads_closed, 0, kMaxPercent);
  return options;
}

// Whether the controller may move the head's gate: its own will comes first.
bool is_free(const HeadStatus& head) {
  return head.consent && !head.removed && head.state != HeadState::withdrawn;
}

int total_heads(const HeadTable& heads) {
  int n = 0;
  for (int layer = 0; layer < heads.n_layers(); ++layer) n += heads.n_heads(layer);
  return n;
}

int most_at_once(const HeadTable& heads) { return std::max(1, total_heads(heads) / kAtOnce); }

}  // namespace

Controller::Controller(const ControllerOptions& options) : options_(checked(options)) {}

int Controller::heads_closed(const HeadTable& heads) const {
  int n = 0;
  for (const Group& group : closed_) {
    for (const Gate& gate : group.gates) n += heads.status(gate.head).gate <= 0;
  }
  return n;
}

ControllerMove Controller::move(const Gate& gate, bool closes, const Signal& signal,
                                std::string reason) const {
  ControllerMove move;
  move.head = gate.head;
  move.gate_before = closes ? gate.before : 0;
  move.gate_after = closes ? 0 : gate.before;
  move.goal = options_.goal;
  move.signal = signal.name;
  move.value = signal.value;
  move.reason = std::move(reason);
  return move;
}

// Open heads that may be closed, those that add least first.
std::vector<HeadId> Controller::candidates(const HeadTable& heads,
                                           const HeadImportance& importance) const {
  std::vector<std::pair<double, HeadId>> order;
  for (int layer = 0; layer < heads.n_layers(); ++layer) {
    for (int head = 0; head < heads.n_heads(layer); ++head) {
      const HeadId id{layer, head};
      const double adds = importance[static_cast<size_t>(layer)][static_cast<size_t>(head)];
      const bool open = is_free(heads.status(id)) && heads.status(id).gate > 0;
      if (open && adds > 0 && !refused_.contains(id)) order.emplace_back(adds, id);
    }
  }
  std::sort(order.begin(), order.end());
  std::vector<HeadId> ids;
  for (const auto& [adds, id] : order) ids.push_back(id);
  return ids;
}

// How many more heads may be closed.
int Controller::room(const HeadTable& heads) const {
  const double most = std::floor(total_heads(heads) * options_.max_heads_closed / kMaxPercent);
  return std::max(0, static_cast<int>(most) - heads_closed(heads));
}

ControllerMoves Controller::begin_search(const HeadTable& heads) {
  ControllerMoves moves;
  const Signal signal{"perplexity_increase", increase()};
  while (!closed_.empty()) {
    open_group(heads, signal, "others have changed heads: measured anew", moves);
  }
  allowed_.clear();
  refused_.clear();
  batch_ = 1;
  grows_ = true;
  refusals_ = 0;
  return moves;
}

std::vector<HeadId> Controller::next_trial(const HeadTable& heads,
                                           const HeadImportance& importance) {
  trial_.clear();
  if (refusals_ >= kMaxRefusals) return {};
  std::vector<HeadId> ids = candidates(heads, importance);
  ids.resize(std::min({ids.size(), batch_, static_cast<size_t>(most_at_once(heads)),
                       static_cast<size_t>(room(heads))}));
  for (const HeadId id : ids) trial_.push_back({id, heads.status(id).gate});
  return ids;
}

ControllerMoves Controller::judge(double increase) {
  const double most = *options_.max_perplexity_increase;
  const bool fits = increase <= most;  // false for NaN
  const Signal signal{"perplexity_increase", increase};
  const std::string which =
      trial_.size() == 1 ? "it" : fmt::format("these {} heads", trial_.size());
  ControllerMoves moves;
  for (const Gate& gate : trial_) {
    moves.push_back(
        move(gate, true, signal,
             fmt::format("perplexity {:+.3f} % without {}{}, at most {} % is the goal", increase,
                         which, closed_.empty() ? "" : " and those before", most)));
    if (!fits) moves.back().gate_after = gate.before;
  }
  if (fits) {
    allowed_.push_back({trial_, increase});
    closed_.push_back(allowed_.back());
    refusals_ = 0;
    if (grows_) batch_ *= 2;
    return moves;
  }
  if (trial_.size() == 1) {
    refused_.insert(trial_.front().head);
    ++refusals_;
  }
  grows_ = false;
  batch_ = std::max<size_t>(1, trial_.size() / 2);
  return moves;
}

ControllerMoves Controller::open_all(const HeadTable& heads) {
  ControllerMoves moves;
  const Signal signal{"perplexity_increase", 0};
  while (!closed_.empty()) {
    open_group(heads, signal, "may go; stays open until the speed needs it", moves);
  }
  return moves;
}

ControllerMoves Controller::hold_speed(const HeadTable& heads, const HeadImportance& importance,
                                       double tokens_per_second, double head_share) {
  const double target = *options_.tokens_per_second;
  below_ = tokens_per_second < target ? below_ + 1 : 0;
  above_ = tokens_per_second > target * (1 + options_.margin) ? above_ + 1 : 0;
  ControllerMoves moves;
  if (below_ >= kPatience) {
    moves = close_for_speed(heads, importance, tokens_per_second, head_share);
  } else if (above_ >= wait_) {
    moves = open_for_speed(heads, tokens_per_second, head_share);
  }
  if (!moves.empty()) below_ = above_ = 0;
  return moves;
}

// As many as reach the middle between the goal and where heads open again.
ControllerMoves Controller::close_for_speed(const HeadTable& heads,
                                            const HeadImportance& importance, double speed,
                                            double share) {
  const double target = *options_.tokens_per_second;
  const double missing = 1 - speed / (target * (1 + options_.margin / 2));
  const double wanted = std::ceil(missing / std::max(share, 1e-6));
  const Signal signal{"tokens_per_second", speed};
  const std::string reason = fmt::format("{:.1f} tokens/s, at least {} is the goal", speed, target);
  const double most = std::min(most_at_once(heads), room(heads));
  int left = static_cast<int>(std::min(wanted, most));
  ControllerMoves moves;
  if (limits_perplexity()) {
    for (size_t next = closed_.size(); left > 0 && next < allowed_.size(); ++next) {
      left -= static_cast<int>(allowed_[next].gates.size());
      close_group(heads, allowed_[next], signal, reason, moves);
    }
  } else {
    std::vector<HeadId> ids = candidates(heads, importance);
    ids.resize(std::min(ids.size(), static_cast<size_t>(left)));
    for (const HeadId id : ids) {
      close_group(heads, {{{id, heads.status(id).gate}}}, signal, reason, moves);
    }
  }
  if (moves.empty()) return moves;
  // What was opened last was needed: the next opening waits longer.
  if (opened_last_) wait_ = std::min(wait_ * 2, kMaxWait);
  opened_last_ = false;
  return moves;
}

ControllerMoves Controller::open_for_speed(const HeadTable& heads, double speed, double share) {
  const double enough = *options_.tokens_per_second * (1 + options_.margin / 2);
  const Signal signal{"tokens_per_second", speed};
  const std::string reason = fmt::format("{:.1f} tokens/s leave room above {:.1f}", speed, enough);
  ControllerMoves moves;
  double opened = 0;
  while (!closed_.empty()) {
    opened += static_cast<double>(closed_.back().gates.size());
    if (speed / (1 + share * opened) < enough) break;
    open_group(heads, signal, reason, moves);
  }
  if (moves.empty()) return moves;
  if (opened_last_) wait_ = std::max(wait_ / 2, kPatience);
  opened_last_ = true;
  return moves;
}

void Controller::close_group(const HeadTable& heads, const Group& group, const Signal& signal,
                             const std::string& reason, ControllerMoves& moves) {
  Group now{{}, group.increase};
  for (const Gate& gate : group.gates) {
    const HeadStatus& status = heads.status(gate.head);
    if (!is_free(status) || status.gate <= 0) continue;
    forget(gate.head);
    now.gates.push_back({gate.head, status.gate});
    moves.push_back(move(now.gates.back(), true, signal, reason));
  }
  closed_.push_back(now);
}

// One that others opened after the controller had closed it would be there twice.
void Controller::forget(HeadId head) {
  for (Group& group : closed_) {
    std::erase_if(group.gates, [&](const Gate& gate) { return gate.head == head; });
  }
}

// A head that others have changed since is no longer the controller's.
void Controller::open_group(const HeadTable& heads, const Signal& signal, const std::string& reason,
                            ControllerMoves& moves) {
  for (const Gate& gate : closed_.back().gates) {
    const HeadStatus& status = heads.status(gate.head);
    if (is_free(status) && status.gate <= 0) moves.push_back(move(gate, false, signal, reason));
  }
  closed_.pop_back();
}

}  // namespace sentinel
