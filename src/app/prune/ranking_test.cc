#include "app/prune/ranking.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "app/prune/head_report.h"
#include "base/error.h"
#include "kernels/registry.h"
#include "model/model.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {
namespace {

const std::string kMini = SENTINEL_SOURCE_DIR "/models/sentinel-mini";

// What strategies that calibrate run on.
struct Tools {
  ThreadPool pool{2};
  SublayerRunner runner{select_kernels(detect_cpu_features(), ""), pool};
};

HeadRanking ranking_of(const HeadScores& scores) {
  return {"test", "", scores, removal_order(scores)};
}

TEST(Ranking, CountsAreFloorsOverTheWholeModel) {
  EXPECT_EQ(removal_count(144, 0), 0);
  EXPECT_EQ(removal_count(144, 30), 43);
  EXPECT_EQ(removal_count(144, 50), 72);
  EXPECT_EQ(removal_count(144, 70), 100);
  EXPECT_EQ(removal_count(144, 100), 144);
  EXPECT_THROW(removal_count(144, 101), Error);
  EXPECT_THROW(removal_count(144, -1), Error);
  const auto ranking = ranking_of(HeadScores(12, std::vector<double>(12, 1.0)));
  EXPECT_EQ(heads_to_remove(ranking, 30).size(), 43u);
  EXPECT_EQ(heads_to_remove(ranking, 70).size(), 100u);
}

TEST(Ranking, LowestFirstAndTiesInLayerHeadOrder) {
  const HeadScores scores = {{2, 1, 1}, {}, {0, 1}};
  const std::vector<HeadId> expected = {{2, 0}, {0, 1}, {0, 2}, {2, 1}, {0, 0}};
  EXPECT_EQ(removal_order(scores), expected);
  const std::vector<HeadId> three = {{0, 1}, {0, 2}, {2, 0}};  // 60 % of 5, sorted
  EXPECT_EQ(heads_to_remove(ranking_of(scores), 60), three);
}

TEST(Ranking, UnknownStrategyNamesThoseThereAre) {
  try {
    find_ranking_strategy("entropie");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::usage);
    const std::string message = error.what();
    for (const auto& strategy : ranking_strategies()) {
      EXPECT_NE(message.find(strategy.name), std::string::npos) << message;
    }
  }
}

TEST(Ranking, RandomFollowsItsSeed) {
  const auto checkpoint = Checkpoint::open(kMini);
  const auto& strategy = find_ranking_strategy("random");
  const auto order = [&](uint64_t seed) {
    return rank_heads(strategy, {checkpoint, nullptr, {}, seed}).order;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
  const auto heads = order(3);
  EXPECT_EQ(std::set<HeadId>(heads.begin(), heads.end()).size(), 64u);
}

TEST(Ranking, MagnitudeIsTheFrobeniusNormOfTheHead) {
  const auto checkpoint = Checkpoint::open(kMini);
  const auto scores = rank_heads(find_ranking_strategy("magnitude"), {checkpoint}).scores;
  for (const HeadId id : {HeadId{0, 0}, HeadId{3, 5}, HeadId{7, 7}}) {
    const HeadView& head = checkpoint->view().layers[id.layer].heads[id.head];
    double sum = 0;
    for (const auto* matrix : {&head.q, &head.k, &head.v, &head.o}) {
      for (int64_t o = 0; o < matrix->n_out; ++o) {
        for (int64_t i = 0; i < matrix->n_in; ++i) sum += std::pow(matrix->at(o, i), 2);
      }
    }
    EXPECT_NEAR(scores[id.layer][id.head], std::sqrt(sum), 1e-6 * std::sqrt(sum));
  }
}

// The score by its definition: Wo_h times the context of every token, from another observer.
class Contributions : public Observer {
 public:
  Contributions(const Checkpoint& checkpoint, HeadId id)
      : o_(checkpoint.view().layers[id.layer].heads[id.head].o), id_(id) {}
  void on_attention(int layer, int first, int rows, const float* context, int64_t stride,
                    const float*) override {
    if (layer != id_.layer) return;
    for (int row = first == 0 ? 1 : 0; row < rows; ++row, ++rows_) {
      const float* c = context + row * stride + id_.head * o_.n_in;
      double squares = 0;
      for (int64_t out = 0; out < o_.n_out; ++out) {
        double sum = 0;
        for (int64_t i = 0; i < o_.n_in; ++i) sum += double{o_.at(out, i)} * c[i];
        squares += sum * sum;
      }
      total_ += std::sqrt(squares);
    }
  }
  void on_ffn(int, int, int, const float*, int64_t) override {}
  double mean() const { return total_ / rows_; }

 private:
  MatrixView o_;
  HeadId id_;
  double total_ = 0;
  int rows_ = 0;
};

TEST(Ranking, OutputIsTheMeanNormOfTheContribution) {
  const auto checkpoint = Checkpoint::open(kMini);
  const auto tokenizer = Tokenizer::load(kMini);
  const auto tokens = tokenizer->encode("It was a cold winter morning, and the old man");
  const auto model = Model::create(checkpoint, {.level = 0});
  Tools tools;
  const auto& strategy = find_ranking_strategy("output");
  const auto ranking = rank_heads(strategy, {checkpoint, &tools.runner, tokens});
  for (const HeadId id : {HeadId{0, 0}, HeadId{4, 2}, HeadId{7, 7}}) {
    Contributions expected(*checkpoint, id);
    const auto session = model->new_session(1, 64);
    session->set_observer(&expected);
    session->prefill(0, tokens, static_cast<float*>(nullptr));
    EXPECT_NEAR(ranking.scores[id.layer][id.head], expected.mean(), 1e-4 * expected.mean());
  }
  EXPECT_EQ(ranking.order, rank_heads(strategy, {checkpoint, &tools.runner, tokens}).order);
}

TEST(Ranking, WindowsOfTheTextAreMeasuredApart) {
  const auto checkpoint = Checkpoint::open(kMini);
  Tools tools;
  std::vector<int32_t> tokens(40);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(37 * i % 900);
  for (const char* name : {"output", "entropy"}) {
    const RankingStrategy& strategy = find_ranking_strategy(name);
    const auto scores = [&](size_t from, size_t n, size_t window) {
      return rank_heads(strategy, {.checkpoint = checkpoint,
                                   .runner = &tools.runner,
                                   .calibration = std::span(tokens).subspan(from, n),
                                   .window = window})
          .scores[3][2];
    };
    EXPECT_NEAR(scores(0, 40, 20), (scores(0, 20, 0) + scores(20, 20, 0)) / 2, 1e-5) << name;
    EXPECT_GT(std::fabs(scores(0, 40, 20) - scores(0, 40, 0)), 1e-4) << name;
  }
}

TEST(Ranking, OutputNeedsAText) {
  const auto checkpoint = Checkpoint::open(kMini);
  EXPECT_THROW(rank_heads(find_ranking_strategy("output"), {checkpoint}), Error);
}

TEST(Ranking, CancelStops) {
  const std::atomic<bool> cancel = true;
  const auto checkpoint = Checkpoint::open(kMini);
  RankingInput input{checkpoint};
  input.cancel = &cancel;
  try {
    rank_heads(find_ranking_strategy("magnitude"), input);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::interrupted);
  }
}

TEST(HeadReport, KeepsTheScoresThatWereDoneWhenCancelled) {
  std::atomic<bool> cancel = false;
  const auto checkpoint = Checkpoint::open(kMini);
  Tools tools;
  const std::vector<int32_t> tokens(40, 7);
  RankingInput input{checkpoint, &tools.runner, tokens};
  input.cancel = &cancel;
  std::vector<std::string> stages;
  const HeadReport report = report_heads(input, [&](const std::string& stage) {
    stages.push_back(stage);
    cancel = stages.size() == 3;  // the second score begins
  });
  EXPECT_TRUE(report.interrupted);
  ASSERT_EQ(report.scores.size(), 1u);
  EXPECT_EQ(report.scores[0].strategy, stages[1]);
  EXPECT_EQ(std::ssize(report.entropy), checkpoint->config().n_layers);
}

}  // namespace
}  // namespace sentinel
