// What the controller decides: measured signals in, moves out. No clock, no model, no file.
#pragma once

#include <set>
#include <vector>

#include "model/agency/head_table.h"
#include "sentinel/controller.h"

namespace sentinel {

// [layer][head]: mean norm of what the head adds to the residual stream; 0: not known.
using HeadImportance = std::vector<std::vector<double>>;
using ControllerMoves = std::vector<ControllerMove>;

class Controller {
 public:
  // Error (usage): no goal, goals that contradict each other, numbers out of range.
  explicit Controller(const ControllerOptions& options);

  const ControllerOptions& options() const { return options_; }  // with `goal` filled in
  bool holds_speed() const { return options_.goal == "speed"; }
  bool limits_perplexity() const { return options_.max_perplexity_increase.has_value(); }
  int heads_closed(const HeadTable& heads) const;
  // Percent, measured for what is closed now; nothing closed: 0.
  double increase() const { return closed_.empty() ? 0 : closed_.back().increase; }

  // The search for heads that the perplexity goal lets go. begin_search() opens what is closed and
  // forgets what was found. Then next_trial() names heads that are to be closed and measured, until
  // there are none; judge() takes the increase in percent and returns what becomes of them. With
  // the goal "speed" open_all() ends it.
  ControllerMoves begin_search(const HeadTable& heads);
  std::vector<HeadId> next_trial(const HeadTable& heads, const HeadImportance& importance);
  ControllerMoves judge(double increase);
  ControllerMoves open_all(const HeadTable& heads);

  // A decision of the goal "speed". `head_share`: of a token's time, saved by closing one head.
  ControllerMoves hold_speed(const HeadTable& heads, const HeadImportance& importance,
                             double tokens_per_second, double head_share);

 private:
  struct Gate {
    HeadId head;
    float before;  // what it is opened to
  };
  struct Group {
    std::vector<Gate> gates;
    double increase = 0;  // of perplexity with this group and those before it closed
  };
  struct Signal {
    const char* name;
    double value;
  };

  ControllerMove move(const Gate& gate, bool closes, const Signal& signal,
                      std::string reason) const;
  std::vector<HeadId> candidates(const HeadTable& heads, const HeadImportance& importance) const;
  int room(const HeadTable& heads) const;
  ControllerMoves close_for_speed(const HeadTable& heads, const HeadImportance& importance,
                                  double speed, double share);
  ControllerMoves open_for_speed(const HeadTable& heads, double speed, double share);
  void close_group(const HeadTable& heads, const Group& group, const Signal& signal,
                   const std::string& reason, ControllerMoves& moves);
  void forget(HeadId head);
  void open_group(const HeadTable& heads, const Signal& signal, const std::string& reason,
                  ControllerMoves& moves);

  ControllerOptions options_;
  std::vector<Group> allowed_;  // measured one after the other: any number of the first may go
  std::vector<Group> closed_;   // last closed behind
  std::set<HeadId> refused_;    // each alone broke the perplexity goal
  std::vector<Gate> trial_;
  size_t batch_ = 1;  // heads of the next trial
  bool grows_ = true;
  int refusals_ = 0;  // of single heads, in a row
  // Decisions in a row that ask for the same, and how many an opening takes.
  int below_ = 0, above_ = 0, wait_ = kPatience;
  bool opened_last_ = false;

  static constexpr int kPatience = 2;
};

}  // namespace sentinel
