// The driver on a real model: it measures beside the sequence and leaves no other trace.
#include "app/controller/steering.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/controller/journal.h"
#include "base/error.h"

namespace sentinel {
namespace {

std::unique_ptr<Model> mini(ModelOptions options = {.level = 1, .threads = 2}) {
  return Model::create(Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini"),
                       options);
}

// Perplexity rises by 1 % per closed head; runs the model so that norms are tracked.
Steering::Measure measure(Model& model) {
  return [&model](const std::atomic<bool>*) {
    const std::vector<int32_t> ids(40, 17);
    model.new_session(1, 64)->prefill(0, ids, nullptr);
    return TextScore{10 * (1 + 0.01 * (64 - model.heads().active_count())), 39};
  };
}

ControllerOptions goals(std::optional<double> speed, std::optional<double> increase) {
  ControllerOptions options;
  options.tokens_per_second = speed;
  options.max_perplexity_increase = increase;
  options.text = increase ? "text" : "";
  options.interval = 4;
  return options;
}

TEST(Steering, QualityClosesWhatItMayBeforeTheFirstToken) {
  const auto model = mini();
  model->heads().set_state({0, 0}, HeadState::withdrawn);
  model->heads().set_consent({0, 1}, false);
  Steering steering(*model, goals({}, 5.2), measure(*model));
  steering.before_token(0);
  const ControllerReport report = steering.report();
  EXPECT_EQ(report.heads_closed, 5);
  EXPECT_EQ(model->heads().active_count(), 57);
  EXPECT_NEAR(report.perplexity_before, 10.2, 1e-9);
  EXPECT_LE(report.perplexity_after, 10.2 * 1.052 + 1e-9);
  EXPECT_EQ(report.goal_met, true);
  EXPECT_EQ(model->heads().step(), 0);  // nothing of the measurement is left
  EXPECT_EQ(model->heads().status({5, 5}).utilization, 0);
  EXPECT_EQ(model->heads().violation_count(), 0);
  const int evaluations = report.evaluations;
  steering.before_token(1);
  EXPECT_EQ(steering.report().evaluations, evaluations);  // nothing has changed
  model->heads().set_consent({0, 1}, true);               // others may: measured anew
  model->heads().set_gate({7, 7}, 0);
  steering.before_token(2);
  EXPECT_GT(steering.report().evaluations, evaluations);
  EXPECT_LE(steering.report().perplexity_after, steering.report().perplexity_before * 1.052);
  EXPECT_EQ(model->heads().status({7, 7}).gate, 0);
  steering.release();
  EXPECT_EQ(model->heads().active_count(), 62);
}

TEST(Steering, SpeedClosesByTheMedianOfWholeIntervalsAndOpensAgain) {
  const auto model = mini();
  const std::vector<int32_t> ids = {1, 2, 3, 4};
  const auto session = model->new_session(1, 64);
  session->prefill(0, ids, nullptr);  // norms are known now
  Steering steering(*model, goals(1000, {}), nullptr);
  EXPECT_EQ(steering.report().goal_met, std::nullopt);
  EXPECT_NE(to_text(steering.report()).find("not judged"), std::string::npos);
  int token = 0;
  const auto interval = [&](int64_t ns) {
    for (int i = 0; i < 4; ++i) {
      steering.before_token(token++);
      steering.after_step(i == 0 ? 100 * ns : ns);  // one outlier moves no median
    }
  };
  interval(1'020'000);  // 980 tokens a second
  interval(1'020'000);
  interval(1'020'000);
  const int closed = steering.report().heads_closed;
  EXPECT_GT(closed, 0);
  EXPECT_EQ(steering.report().goal_met, false);
  EXPECT_EQ(model->heads().active_count(), 64 - closed);
  for (int i = 0; i < 12; ++i) interval(200'000);
  EXPECT_EQ(steering.report().heads_closed, 0);
  EXPECT_EQ(model->heads().active_count(), 64);
  EXPECT_EQ(steering.report().goal_met, true);
  const std::string journal = journal_lines(steering.report());
  const auto first = nlohmann::json::parse(journal.substr(0, journal.find('\n')));
  EXPECT_EQ(first["token"], 8);
  EXPECT_EQ(first["goal"], "speed");
  EXPECT_EQ(first["gate_before"], 1);
  EXPECT_EQ(first["gate_after"], 0);
  EXPECT_NEAR(first["signal"]["tokens_per_second"].get<double>(), 980, 1);
  EXPECT_EQ(std::count(journal.begin(), journal.end(), '\n'), 2 * closed);
}

TEST(Steering, AnInterruptedMeasurementLeavesTheHeadsAlone) {
  const auto model = mini();
  int calls = 0;
  const auto inner = measure(*model);
  Steering steering(*model, goals({}, 50), [&](const std::atomic<bool>* cancel) {
    if (++calls == 2) throw Error(ErrorKind::interrupted, "interrupted");
    return inner(cancel);
  });
  EXPECT_THROW(steering.before_token(0), Error);
  EXPECT_EQ(model->heads().active_count(), 64);
  EXPECT_EQ(model->heads().step(), 0);
}

TEST(Steering, ModelsThatCannotBeSteeredAreRefused) {
  const auto refused = [](ModelOptions options, const ControllerOptions& goal) {
    const auto model = mini(options);
    EXPECT_THROW(Steering(*model, goal, measure(*model)), Error);
  };
  refused({.level = 3}, goals(10, {}));
  refused({.level = 0}, goals(10, {}));
  refused({.level = 1, .agency = AgencyMode::off}, goals(10, {}));
  refused({.level = 1, .agency = AgencyMode::automatic}, goals({}, 3));
}

}  // namespace
}  // namespace sentinel
