// The controller's decisions against a made-up model: goals are reached and held, nobody's will is
// overridden.
#include "model/agency/controller.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "base/rng.h"

namespace sentinel {
namespace {

ModelConfig config_of(int layers, int heads) {
  ModelConfig config;
  config.n_layers = layers;
  config.n_heads = heads;
  config.layers.assign(static_cast<size_t>(layers), LayerConfig{heads, 8, {}});
  return config;
}

HeadImportance rising_importance(int layers, int heads) {
  HeadImportance importance(static_cast<size_t>(layers));
  double next = 1;
  for (auto& row : importance) {
    for (int h = 0; h < heads; ++h) row.push_back(next++);
  }
  return importance;
}

ControllerOptions speed_goal(double target) {
  ControllerOptions options;
  options.tokens_per_second = target;
  return options;
}

ControllerOptions quality_goal(double percent) {
  ControllerOptions options;
  options.max_perplexity_increase = percent;
  options.text = "a text";
  return options;
}

void make(HeadTable& heads, const ControllerMoves& moves) {
  for (const ControllerMove& move : moves) {
    EXPECT_FALSE(move.reason.empty());
    if (move.gate_before == move.gate_after) continue;
    ASSERT_EQ(heads.status(move.head).gate, static_cast<float>(move.gate_before));
    ASSERT_TRUE(heads.set_gate(move.head, static_cast<float>(move.gate_after)));
  }
}

// A machine: a token takes 1 + share per open head, times noise.
struct Machine {
  double base = 1e-3, per_head = 1e-5, noise = 0.02;
  Rng rng{7};
  double seconds(const HeadTable& heads) const { return base + per_head * heads.active_count(); }
  double speed(const HeadTable& heads) {
    return 1 / (seconds(heads) * (1 + noise * (2 * rng.uniform() - 1)));
  }
};

// What `search` of the driver does, with a loss by head.
void search(Controller& controller, HeadTable& heads, const HeadImportance& importance,
            const std::map<HeadId, double>& cost) {
  make(heads, controller.begin_search(heads));
  while (true) {
    const auto trial = controller.next_trial(heads, importance);
    if (trial.empty()) break;
    double increase = 0;
    for (const auto& [id, percent] : cost) {
      const bool closed =
          heads.status(id).gate == 0 || std::find(trial.begin(), trial.end(), id) != trial.end();
      if (closed) increase += percent;
    }
    make(heads, controller.judge(increase));
  }
  if (controller.holds_speed()) make(heads, controller.open_all(heads));
}

double cost_of_closed(const HeadTable& heads, const std::map<HeadId, double>& cost) {
  double sum = 0;
  for (const auto& [id, percent] : cost) sum += heads.status(id).gate == 0 ? percent : 0;
  return sum;
}

TEST(Controller, ReachesItsSpeedAndThenStaysStill) {
  HeadTable heads(config_of(8, 8));
  const HeadImportance importance = rising_importance(8, 8);
  Machine machine;
  machine.per_head = 1e-5;
  const double target = 1 / (machine.base + 50 * machine.per_head);
  Controller controller(speed_goal(target));
  int moves_late = 0;
  for (int i = 0; i < 2000; ++i) {
    const double share = machine.per_head / machine.seconds(heads);
    const auto moves = controller.hold_speed(heads, importance, machine.speed(heads), share);
    make(heads, moves);
    if (i > 200) moves_late += static_cast<int>(moves.size());
  }
  EXPECT_LE(heads.active_count(), 50);
  EXPECT_GE(heads.active_count(), 40);  // no more closed than needed, up to margin and noise
  EXPECT_LE(moves_late, 12);
  // Those that add least went.
  for (int h = 0; h < 64 - heads.active_count(); ++h) {
    EXPECT_EQ(heads.status({h / 8, h % 8}).gate, 0);
  }
}

// One head is worth more than the margin: there is no resting place, so the waits must grow.
TEST(Controller, DoesNotOscillateWhereOneHeadIsMoreThanTheMargin) {
  HeadTable heads(config_of(2, 2));
  Machine machine;
  machine.base = 1e-4;
  machine.per_head = 1e-3;
  Controller controller(speed_goal(1 / (machine.base + 2.5 * machine.per_head)));
  int moves = 0;
  for (int i = 0; i < 4000; ++i) {
    // A share that is told too small makes openings look harmless.
    const auto made =
        controller.hold_speed(heads, rising_importance(2, 2), machine.speed(heads), 1e-6);
    make(heads, made);
    moves += static_cast<int>(made.size());
  }
  EXPECT_LE(moves, 280);  // two open and two close every 64 decisions; else it were every 6
}

TEST(Controller, OpensAgainWhenTheMachineIsFasterInTheOppositeOrder) {
  HeadTable heads(config_of(4, 8));
  heads.set_gate({0, 1}, 0.5F);
  const HeadImportance importance = rising_importance(4, 8);
  Controller controller(speed_goal(1000));
  std::vector<HeadId> closed, opened;
  for (int i = 0; i < 10; ++i) {
    const auto moves = controller.hold_speed(heads, importance, 900, 0.05);
    make(heads, moves);
    for (const auto& move : moves) closed.push_back(move.head);
  }
  ASSERT_GT(closed.size(), 4U);
  EXPECT_LE(closed.size(), 16U);  // max_heads_closed: half of them
  EXPECT_EQ(closed[0], (HeadId{0, 0}));
  for (int i = 0; i < 200; ++i) {
    const auto moves = controller.hold_speed(heads, importance, 5000, 0.05);
    make(heads, moves);
    for (const auto& move : moves) opened.push_back(move.head);
  }
  std::reverse(opened.begin(), opened.end());
  EXPECT_EQ(opened, closed);
  EXPECT_EQ(heads.status({0, 1}).gate, 0.5F);  // to what it was, not to 1
  EXPECT_EQ(heads.active_count(), 32);
}

TEST(Controller, InsideTheMarginNothingMoves) {
  HeadTable heads(config_of(2, 4));
  Controller controller(speed_goal(1000));
  for (int i = 0; i < 50; ++i) {
    const double speed = 1000 + i % 50;
    EXPECT_TRUE(controller.hold_speed(heads, rising_importance(2, 4), speed, 0.01).empty());
  }
}

TEST(Controller, QualityClosesUntilTheBoundAndNeverBeyond) {
  Rng rng(3);
  for (int round = 0; round < 50; ++round) {
    HeadTable heads(config_of(6, 8));
    std::map<HeadId, double> cost;
    for (int l = 0; l < 6; ++l) {
      for (int h = 0; h < 8; ++h) cost[{l, h}] = rng.uniform() < 0.5 ? 0.01 : rng.uniform();
    }
    ControllerOptions options = quality_goal(2);
    options.max_heads_closed = 60;
    Controller controller(options);
    const HeadImportance importance = rising_importance(6, 8);
    search(controller, heads, importance, cost);
    EXPECT_LE(cost_of_closed(heads, cost), 2 + 1e-9);
    EXPECT_NEAR(controller.increase(), cost_of_closed(heads, cost), 1e-9);
    EXPECT_LE(controller.heads_closed(heads), 28);
    EXPECT_GT(controller.heads_closed(heads), 3);
  }
}

TEST(Controller, SpeedNeverClosesWhatTheTextForbids) {
  HeadTable heads(config_of(4, 8));
  std::map<HeadId, double> cost;
  for (int l = 0; l < 4; ++l) {
    for (int h = 0; h < 8; ++h) cost[{l, h}] = 0.3;
  }
  ControllerOptions options = quality_goal(2);
  options.tokens_per_second = 1e6;
  Controller controller(options);
  const HeadImportance importance = rising_importance(4, 8);
  search(controller, heads, importance, cost);
  EXPECT_EQ(heads.active_count(), 32);  // open until the speed needs it
  for (int i = 0; i < 100; ++i) make(heads, controller.hold_speed(heads, importance, 10, 0.01));
  EXPECT_EQ(heads.active_count(), 26);  // 6 x 0.3 <= 2
  EXPECT_NEAR(controller.increase(), 1.8, 1e-9);
}

// Requests from outside, in any order, between decisions of every kind.
TEST(Controller, NeverTouchesWithdrawnUnconsentingOrRemovedHeads) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Rng rng(seed);
    HeadTable heads(config_of(3, 6));
    heads.remove({2, 5});
    ControllerOptions options = quality_goal(1.5);
    const bool both = seed % 2 == 0;
    options = both ? options : speed_goal(1000);
    if (both) options.tokens_per_second = 1000;
    Controller controller(options);
    const HeadImportance importance = rising_importance(3, 6);
    std::map<HeadId, double> cost;
    for (int l = 0; l < 3; ++l) {
      for (int h = 0; h < 6; ++h) cost[{l, h}] = 0.4 * rng.uniform();
    }
    int made = 0;
    for (int i = 0; i < 600; ++i) {
      const HeadId id{static_cast<int>(rng.below(3)), static_cast<int>(rng.below(5))};
      const auto kind = rng.below(4);
      if (kind == 0) heads.set_state(id, static_cast<HeadState>(rng.below(4)));
      if (kind == 1) heads.set_consent(id, rng.uniform() < 0.5);
      if (kind == 2) heads.set_gate(id, static_cast<float>(rng.below(3)) / 2);
      const int64_t violations = heads.violation_count();
      if (both && i % 50 == 0) search(controller, heads, importance, cost);
      const double speed = rng.uniform() < 0.5 ? 500 : 4000;
      const auto moves = controller.hold_speed(heads, importance, speed, 0.02);
      for (const ControllerMove& move : moves) {
        const HeadStatus& head = heads.status(move.head);
        ASSERT_TRUE(head.consent && !head.removed && head.state != HeadState::withdrawn);
      }
      make(heads, moves);
      made += static_cast<int>(moves.size());
      ASSERT_EQ(heads.violation_count(), violations);  // it never even asks
    }
    EXPECT_GT(made, 10);
  }
}

TEST(Controller, RefusesGoalsThatMakeNoSense) {
  const auto refused = [](const ControllerOptions& options, const std::string& hint) {
    try {
      const Controller controller(options);
      ADD_FAILURE() << hint;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::usage);
      EXPECT_NE(std::string(error.what()).find(hint), std::string::npos) << error.what();
    }
  };
  refused({}, "no goal");
  refused(speed_goal(0), "target_tokens_per_second");
  refused(speed_goal(-1), "target_tokens_per_second");
  refused(speed_goal(std::numeric_limits<double>::quiet_NaN()), "target_tokens_per_second");
  refused(quality_goal(-1), "max_perplexity_increase");
  ControllerOptions options = quality_goal(1);
  options.text.clear();
  refused(options, "controller_text");
  options = speed_goal(5);
  options.goal = "quality";
  refused(options, "needs max_perplexity_increase");
  options.goal = "fast";
  refused(options, "unknown goal");
  options = quality_goal(1);
  options.goal = "speed";
  refused(options, "needs target_tokens_per_second");
  options.goal = "quality";
  options.tokens_per_second = 3;
  refused(options, "leave out");
  for (const auto& change : std::vector<void (*)(ControllerOptions&)>{
           [](ControllerOptions& o) { o.interval = 0; },
           [](ControllerOptions& o) { o.max_windows = -1; },
           [](ControllerOptions& o) { o.margin = 2; },
           [](ControllerOptions& o) { o.max_heads_closed = 101; }}) {
    options = speed_goal(5);
    change(options);
    refused(options, "out of range");
  }
}

}  // namespace
}  // namespace sentinel
