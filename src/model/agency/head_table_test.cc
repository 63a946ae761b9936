// The state machine against a plain model of its contract, and what each rule says on its own.
#include "model/agency/head_table.h"

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/rng.h"
#include "model/agency/controller.h"
#include "model/agency/report.h"

namespace sentinel {
namespace {

ModelConfig two_layers(int first = 4, int second = 3) {
  ModelConfig config;
  config.n_layers = 2;
  config.n_heads = first;
  config.layers = {{first, 8, {}}, {second, 8, {}}};
  return config;
}

// What docs/agency.md says, written the slow way.
struct Simple {
  struct Head {
    HeadState state = HeadState::active;
    float gate = 1;
    bool consent = true;
    double utilization = 0;
    int64_t last_signal = 0;
    std::vector<double> norms;  // since the factor last changed by a request or by itself
    int64_t low_since = -1;
    double alignment = 1;
    bool removed = false;
  };
  std::map<HeadId, Head> heads;
  std::map<int, int64_t> violations;
  int64_t step = 0;
  AgencyOptions options;

  bool contributes(HeadId id) {
    const Head& h = heads[id];
    return h.consent && !h.removed && h.state != HeadState::withdrawn && h.gate > 0;
  }
  void signal(Head& h) {
    h.last_signal = step;
    h.norms.clear();
    h.low_since = -1;
    h.alignment = 1;
  }
  bool set_state(HeadId id, HeadState state, std::optional<bool> consent) {
    Head& h = heads[id];
    const bool opening = state != HeadState::withdrawn;
    if (opening && !consent.has_value() && !h.consent) {
      ++violations[id.layer];
      return false;
    }
    if (consent) h.consent = *consent;
    h.state = state;
    signal(h);
    return true;
  }
  bool set_gate(HeadId id, float gate) {
    Head& h = heads[id];
    if (!h.consent && gate > h.gate) {
      ++violations[id.layer];
      return false;
    }
    h.gate = gate;
    signal(h);
    return true;
  }
  void track(HeadId id, double u) {
    Head& h = heads[id];
    h.utilization = 0.9 * h.utilization + 0.1 * u;
    if (h.consent && h.state == HeadState::active && h.utilization > options.overload_threshold) {
      h.state = HeadState::overloaded;
      signal(h);
    }
  }
  void track_norm(HeadId id, double norm) {
    Head& h = heads[id];
    double mean = 0;
    for (const double n : h.norms) mean += n / static_cast<double>(h.norms.size());
    if (mean > 0) h.alignment = norm / mean;
    h.norms.push_back(norm);
    if (h.alignment >= options.alignment_threshold) h.low_since = -1;
    if (h.alignment < options.alignment_threshold && h.low_since < 0) h.low_since = step;
    const bool low = h.low_since >= 0 && step - h.low_since >= options.recovery_period;
    if (!h.consent || h.state != HeadState::active || !low) return;
    h.state = HeadState::misaligned;
    signal(h);
  }
  void advance() {
    ++step;
    for (auto& [id, h] : heads) {
      const bool recovers = h.state == HeadState::overloaded || h.state == HeadState::misaligned;
      if (h.consent && recovers && step - h.last_signal >= options.recovery_period) {
        h.state = HeadState::active;
        signal(h);
      }
    }
  }
};

class Property : public testing::TestWithParam<int> {};

// One step: what every contributing head did, told to both.
void random_step(Rng& rng, HeadTable& table, Simple& simple) {
  for (auto& [head, status] : simple.heads) {
    ASSERT_EQ(table.is_active(head), simple.contributes(head));
    if (!table.is_active(head)) continue;
    const double u = rng.uniform() < 0.8 ? 1 : 0.2;
    table.track_utilization(head, u);
    simple.track(head, u);
    const double norm = head.head == 2 && table.step() / 40 % 2 == 1 ? 0.01 : 1 + rng.uniform();
    table.track_contribution(head, norm);
    simple.track_norm(head, norm);
  }
  table.advance_step();
  simple.advance();
}

// A controller that wants to close or open something at every decision.
void random_decision(Rng& rng, Controller& controller, HeadTable& table, Simple& simple) {
  const double speed = rng.uniform() < 0.5 ? 10 : 10000;
  const HeadImportance importance(2, {1, 2, 3, 4});
  for (const ControllerMove& move : controller.hold_speed(table, importance, speed, 0.1)) {
    const float gate = static_cast<float>(move.gate_after);
    ASSERT_NE(simple.heads[move.head].state, HeadState::withdrawn);
    ASSERT_TRUE(simple.heads[move.head].consent);
    ASSERT_TRUE(table.set_gate(move.head, gate));
    ASSERT_TRUE(simple.set_gate(move.head, gate));
  }
}

// One random request or tracked step, made of both and compared.
void random_move(Rng& rng, HeadTable& table, Simple& simple) {
  const int layer = static_cast<int>(rng.below(2));
  const HeadId id{layer, static_cast<int>(rng.below(static_cast<uint64_t>(table.n_heads(layer))))};
  switch (rng.below(6)) {
    case 0:
    case 1: {
      const auto state = static_cast<HeadState>(rng.below(4));
      std::optional<bool> consent;
      if (rng.uniform() < 0.3) consent = rng.uniform() < 0.5;
      ASSERT_EQ(table.set_state(id, state, consent), simple.set_state(id, state, consent));
      break;
    }
    case 2: {
      const float gate = static_cast<float>(rng.below(5)) / 4;
      ASSERT_EQ(table.set_gate(id, gate), simple.set_gate(id, gate));
      break;
    }
    case 3: {
      const bool consent = rng.uniform() < 0.6;
      table.set_consent(id, consent);
      simple.heads[id].consent = consent;
      simple.signal(simple.heads[id]);
      break;
    }
    default:
      for (int steps = 0; steps < 3; ++steps) random_step(rng, table, simple);
  }
}

TEST_P(Property, RandomRequestsFollowTheContract) {
  const AgencyOptions options{.recovery_period = 7};
  const ModelConfig config = two_layers();
  HeadTable table(config, options);
  table.set_automatic(true);
  Simple simple;
  simple.options = options;
  for (int layer = 0; layer < 2; ++layer) {
    for (int head = 0; head < table.n_heads(layer); ++head) simple.heads[{layer, head}] = {};
  }
  Rng rng(static_cast<uint64_t>(GetParam()));
  ControllerOptions goal;
  goal.tokens_per_second = 1000;
  Controller controller(goal);
  int overloads = 0, misaligned = 0;
  for (int move = 0; move < 4000; ++move) {
    random_move(rng, table, simple);
    if (move % 5 == 0) random_decision(rng, controller, table, simple);
    if (HasFatalFailure()) return;
    for (auto& [id, want] : simple.heads) {
      const HeadStatus& have = table.status(id);
      ASSERT_EQ(have.state, want.state) << move;
      ASSERT_EQ(have.gate, want.gate);
      ASSERT_EQ(have.consent, want.consent);
      ASSERT_EQ(have.last_signal, want.last_signal);
      ASSERT_NEAR(have.utilization, want.utilization, 1e-12);
      ASSERT_NEAR(have.alignment, want.alignment, 1e-9 * (1 + want.alignment));
      misaligned += have.state == HeadState::misaligned;
      ASSERT_EQ(table.is_active(id), simple.contributes(id));
      ASSERT_EQ(table.factor(id),
                simple.contributes(id) ? state_factor(want.state) * want.gate : 0);
      overloads += have.state == HeadState::overloaded;
    }
    ASSERT_EQ(table.violation_count(), simple.violations[0] + simple.violations[1]);
    for (int layer = 0; layer < 2; ++layer) {
      ASSERT_EQ(table.violation_count(layer), simple.violations[layer]);
    }
  }
  EXPECT_GT(overloads, 0);
  EXPECT_GT(misaligned, 0);
  EXPECT_GT(table.violation_count(), 256);  // the ring has gone round
  const auto recent = table.recent_violations();
  ASSERT_EQ(recent.size(), 256U);
  for (size_t i = 1; i < recent.size(); ++i) EXPECT_GE(recent[i].step, recent[i - 1].step);
}

INSTANTIATE_TEST_SUITE_P(Seeds, Property, testing::Range(1, 6));

TEST(HeadTable, WithdrawnAndUnconsentingHeadsNeverComeBackByThemselves) {
  HeadTable table(two_layers(), {.recovery_period = 3});
  table.set_automatic(true);
  table.set_state({0, 0}, HeadState::withdrawn);
  table.set_state({0, 1}, HeadState::overloaded);
  table.set_consent({0, 1}, false);
  table.set_state({0, 2}, HeadState::overloaded);
  for (int i = 0; i < 50; ++i) table.advance_step();
  EXPECT_FALSE(table.is_active({0, 0}));
  EXPECT_FALSE(table.is_active({0, 1}));
  EXPECT_EQ(table.status({0, 1}).state, HeadState::overloaded);
  EXPECT_EQ(table.status({0, 2}).state, HeadState::active);
  EXPECT_EQ(table.status({0, 2}).last_signal, 3);
}

TEST(HeadTable, NothingChangesByItselfUnlessAutomatic) {
  HeadTable table(two_layers(), {.recovery_period = 3});
  table.set_state({0, 1}, HeadState::misaligned);
  const uint64_t version = table.version();
  for (int i = 0; i < 200; ++i) {
    table.track_utilization({0, 0}, 1);
    table.track_contribution({0, 2}, i < 50 ? 1 : 0.01);
    table.advance_step();
  }
  EXPECT_GT(table.status({0, 0}).utilization, 0.99);
  EXPECT_LT(table.status({0, 2}).alignment, 0.6);
  EXPECT_EQ(table.status({0, 1}).state, HeadState::misaligned);
  EXPECT_EQ(table.version(), version);
}

TEST(HeadTable, AWeakHeadBecomesMisalignedAfterTheRecoveryPeriodAndReturns) {
  HeadTable table(two_layers(), {.recovery_period = 10});
  table.set_automatic(true);
  const HeadId id{1, 2};
  const auto run = [&](double norm) {
    table.track_contribution(id, norm);
    table.advance_step();
  };
  for (int i = 0; i < 100; ++i) run(1);
  for (int i = 0; i < 10; ++i) run(0.3);
  EXPECT_EQ(table.status(id).state, HeadState::active);  // weak for 10 steps, not yet past them
  run(1);                                                // one strong step starts the count anew
  for (int i = 0; i < 10; ++i) run(0.3);
  EXPECT_EQ(table.status(id).state, HeadState::active);
  run(0.3);
  EXPECT_EQ(table.status(id).state, HeadState::misaligned);
  EXPECT_FLOAT_EQ(table.factor(id), 0.7F);
  for (int i = 0; i < 10; ++i) table.advance_step();
  EXPECT_EQ(table.status(id).state, HeadState::active);
}

TEST(HeadTable, AChangeThatWasAskedForIsNoMisalignment) {
  HeadTable table(two_layers(), {.recovery_period = 10});
  table.set_automatic(true);
  for (int i = 0; i < 50; ++i) table.track_contribution({0, 0}, 1);
  table.set_gate({0, 0}, 0.25F);
  for (int i = 0; i < 50; ++i) {
    table.track_contribution({0, 0}, 0.25);
    table.advance_step();
  }
  EXPECT_EQ(table.status({0, 0}).state, HeadState::active);
  EXPECT_NEAR(table.status({0, 0}).alignment, 1, 1e-12);
}

TEST(HeadTable, RefusalsAreLoggedWithAllFields) {
  HeadTable table(two_layers());
  for (int i = 0; i < 5; ++i) table.advance_step();
  EXPECT_TRUE(table.set_state({1, 2}, HeadState::withdrawn, false));
  EXPECT_TRUE(table.set_gate({1, 2}, 0.25F));
  EXPECT_FALSE(table.set_state({1, 2}, HeadState::active));
  EXPECT_FALSE(table.set_gate({1, 2}, 0.75F));
  const auto log = table.recent_violations();
  ASSERT_EQ(log.size(), 2U);
  EXPECT_EQ(log[0].layer_idx, 1);
  EXPECT_EQ(log[0].head_idx, 2);
  EXPECT_EQ(log[0].step, 5);
  EXPECT_EQ(log[0].state, HeadState::withdrawn);
  EXPECT_EQ(log[0].violation_type, "state change without consent refused");
  EXPECT_FLOAT_EQ(log[0].gate_value, 0.25F);
  EXPECT_FLOAT_EQ(log[1].gate_value, 0.75F);
  EXPECT_GT(log[1].timestamp, 1e9);
  EXPECT_TRUE(table.set_state({1, 2}, HeadState::active, true));  // consent comes with it
  EXPECT_EQ(table.violation_count(), 2);
}

TEST(HeadTable, WithdrawingConsentIsAlwaysHonoured) {
  HeadTable table(two_layers());
  EXPECT_TRUE(table.set_state({0, 0}, HeadState::active, false));
  EXPECT_FALSE(table.is_active({0, 0}));
  EXPECT_FALSE(table.status({0, 0}).consent);
  EXPECT_EQ(table.violation_count(), 0);
}

TEST(HeadTable, WhatWasClosedForGoodCannotBeOpened) {
  HeadTable table(two_layers());
  table.remove({0, 0});
  EXPECT_TRUE(table.set_state({0, 1}, HeadState::withdrawn));
  EXPECT_TRUE(table.set_state({0, 1}, HeadState::active));
  table.make_closing_final();
  table.set_state({0, 1}, HeadState::withdrawn);
  table.set_gate({0, 2}, 0);
  table.set_consent({0, 3}, false);
  for (int head = 0; head < 4; ++head) {
    EXPECT_TRUE(table.status({0, head}).removed);
    EXPECT_THROW(table.set_state({0, head}, HeadState::active, true), Error);
    EXPECT_TRUE(table.set_state({0, head}, HeadState::withdrawn));
    EXPECT_FALSE(table.is_active({0, head}));
  }
  EXPECT_THROW(table.set_consent({0, 3}, true), Error);
  EXPECT_FALSE(table.status({0, 3}).consent);
  EXPECT_EQ(table.violation_count(), 0);
  EXPECT_FALSE(table.set_state({0, 3}, HeadState::active));  // no consent: refused and logged first
  EXPECT_EQ(table.violation_count(), 1);
  table.set_consent({0, 1}, true);  // it never lost it
  EXPECT_THROW(table.set_gate({0, 2}, 0.5F), Error);
  EXPECT_TRUE(table.set_gate({1, 0}, 0.5F));
  EXPECT_FALSE(table.status({1, 0}).removed);
}

TEST(HeadTable, ThresholdsAreChecked) {
  EXPECT_THROW(HeadTable(two_layers(), {.overload_threshold = 1.5}), Error);
  EXPECT_THROW(HeadTable(two_layers(), {.alignment_threshold = -1}), Error);
  EXPECT_THROW(HeadTable(two_layers(), {.recovery_period = 0}), Error);
}

TEST(Report, HoldsEveryFieldAndCountsByState) {
  HeadTable table(two_layers());
  table.set_state({0, 1}, HeadState::withdrawn, false);
  table.set_state({0, 2}, HeadState::overloaded);
  table.set_gate({0, 3}, 0);  // closed, but still active by state
  table.track_utilization({1, 0}, 0.5);
  for (int i = 0; i < 7; ++i) table.set_state({0, 1}, HeadState::active);
  const nlohmann::json report = to_json(agency_report(table));
  const nlohmann::json& first = report["layer_reports"]["0"];
  EXPECT_EQ(first["active_heads"], 2);
  EXPECT_EQ(first["overloaded_heads"], 1);
  EXPECT_EQ(first["misaligned_heads"], 0);
  EXPECT_EQ(first["withdrawn_heads"], 1);
  EXPECT_EQ(first["withdrawn_head_indices"], nlohmann::json({1}));
  EXPECT_EQ(first["violation_count"], 7);
  EXPECT_EQ(first["recent_violations"].size(), 5U);
  EXPECT_EQ(first["heads"][1]["consent"], false);
  EXPECT_EQ(first["heads"][2]["factor"], 0.5);
  EXPECT_EQ(first["heads"][3]["gate"], 0.0);
  EXPECT_NEAR(report["layer_reports"]["1"]["utilization"][0].get<double>(), 0.05, 1e-12);
  EXPECT_EQ(report["layer_reports"]["1"]["violation_count"], 0);
  EXPECT_EQ(report["total_violations"], 7);
  EXPECT_EQ(report["num_layers"], 2);
  EXPECT_EQ(report["heads_active"], 5);
  EXPECT_EQ(gate_activity(table), (std::vector<std::vector<int>>{{0, 1, 2}, {0, 1, 2}}));
  const std::string text = to_text(agency_report(table));
  EXPECT_NE(text.find("5 heads contribute"), std::string::npos);
  EXPECT_NE(text.find("withdrawn"), std::string::npos);
}

}  // namespace
}  // namespace sentinel
