#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/files.h"
#include "model/checkpoint/safetensors.h"
#include "sentinel/sentinel.h"

namespace sentinel {
namespace {

const std::string kMini = std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini";

const nlohmann::json& reference() {
  static const nlohmann::json kReference = read_json(kMini + "/reference.json");
  return kReference;
}

AdaptiveModel load(int level) {
  return load_adaptive_model(load_baseline_model(kMini), {.optimization_level = level});
}

// Of the last position of each prompt.
std::vector<std::vector<float>> reference_logits() {
  const std::string file = read_file(kMini + "/reference_logits.safetensors");
  std::vector<std::vector<float>> logits;
  for (const auto& entry : parse_safetensors(std::as_bytes(std::span(file)), "reference")) {
    logits.emplace_back(entry.bytes / sizeof(float));
    std::memcpy(logits.back().data(), entry.data, entry.bytes);
  }
  return logits;
}

double max_difference(std::span<const float> a, std::span<const float> b) {
  double largest = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a[i]) - b[i]));
  }
  return largest;
}

std::string error_of(const std::function<void()>& action, ErrorKind kind = ErrorKind::usage) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
    return error.what();
  }
  ADD_FAILURE() << "no error";
  return "";
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "\"" << part << "\" is not in: " << text;
}

// A folder that is gone before and after.
class Folder {
 public:
  Folder() : path_(testing::TempDir() + "sentinel_api_" + std::to_string(getpid())) { remove(); }
  ~Folder() { remove(); }
  const std::string& path() const { return path_; }

 private:
  void remove() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  std::string path_;
};

class Environment {
 public:
  explicit Environment(const char* value) { set(value); }
  ~Environment() { set(nullptr); }
  static void set(const char* value) {
    value ? setenv("OPTIMIZATION_LEVEL", value, 1) : unsetenv("OPTIMIZATION_LEVEL");
  }
};

TEST(Api, ReferenceLogitsAtLevels0And1) {
  const auto expected = reference_logits();
  for (const auto& [level, tolerance] : {std::pair{0, 1e-4}, std::pair{1, 1e-3}}) {
    AdaptiveModel model = load(level);
    for (size_t p = 0; p < expected.size(); ++p) {
      const std::vector<int32_t> ids = reference()["prompts"][p]["ids"];
      const Logits logits = model.forward(ids);
      ASSERT_EQ(logits.rows, static_cast<int>(ids.size()));
      EXPECT_LT(max_difference(logits.row(logits.rows - 1), expected[p]), tolerance)
          << "level " << level << ", prompt " << p;
    }
  }
}

TEST(Api, GreedyTextIsThePublishedModels) {
  AdaptiveModel model = load(1);
  const auto& prompt = reference()["prompts"][0];
  const int n = static_cast<int>(prompt["greedy_ids"].size());
  const auto result =
      model.generate(prompt["text"].get<std::string>(), {.max_new_tokens = n, .temperature = 0});
  EXPECT_EQ(result.tokens, prompt["greedy_ids"].get<std::vector<int32_t>>());
  EXPECT_EQ(result.text, prompt["continuation"]);
  EXPECT_EQ(result.prompt_tokens, prompt["ids"].get<std::vector<int32_t>>());
  EXPECT_EQ(result.timings.step_ns.size(), result.tokens.size() - 1);
  const auto same =
      model.generate_ids(result.prompt_tokens, {.max_new_tokens = n, .temperature = 0});
  EXPECT_EQ(same.tokens, result.tokens);
}

TEST(Api, ASeedNamedInTheResultRepeatsIt) {
  AdaptiveModel model = load(1);
  const auto first = model.generate("Once", {.max_new_tokens = 12});
  const auto again = model.generate("Once", {.max_new_tokens = 12, .seed = first.seed});
  EXPECT_EQ(first.tokens, again.tokens);
}

TEST(Api, StreamsAndStops) {
  AdaptiveModel model = load(1);
  const std::string prompt = reference()["prompts"][0]["text"];
  std::string streamed;
  GenerationOptions options{.max_new_tokens = 24, .temperature = 0};
  options.on_token = [&](int32_t, std::string_view text) {
    streamed += text;
    return true;
  };
  EXPECT_EQ(model.generate(prompt, options).text, streamed);
  options.on_token = [](int32_t, std::string_view) { return false; };
  const auto one = model.generate(prompt, options);
  EXPECT_EQ(one.stop_reason, "callback");
  EXPECT_EQ(one.tokens.size(), 1U);
  std::stop_source source;
  options.cancel = source.get_token();
  int count = 0;
  options.on_token = [&](int32_t, std::string_view) {
    if (++count == 3) source.request_stop();
    return true;
  };
  const auto three = model.generate(prompt, options);
  EXPECT_EQ(three.stop_reason, "interrupted");
  EXPECT_EQ(three.tokens.size(), 3U);
  options.cancel = {};
  options.on_token = [](int32_t, std::string_view) -> bool { throw std::runtime_error("mine"); };
  EXPECT_THROW(model.generate(prompt, options), std::runtime_error);
  const auto stop =
      model.generate(prompt, {.max_new_tokens = 24, .temperature = 0, .stop = {" house"}});
  EXPECT_EQ(stop.stop_reason, "stop");
  EXPECT_EQ(stop.text, " was in the");
}

TEST(Api, PaddingNeverChangesARow) {
  for (const int level : {0, 1, 2}) {
    AdaptiveModel model = load(level);
    const std::vector<int32_t> a = {778, 306, 258, 1549, 3061}, b = {5, 6};
    const Logits alone_a = model.forward(a), alone_b = model.forward(b);
    const std::vector<int32_t> ids = {778, 306, 258, 1549, 3061, 9, 9, 5, 9, 6};  // b: spread out
    const std::vector<uint8_t> mask = {1, 1, 1, 1, 1, 0, 0, 1, 0, 1};
    const auto vocab = static_cast<size_t>(model.baseline().vocab_size());
    std::vector<float> logits(ids.size() * vocab, 7);
    model.forward_batch_into(2, 5, ids, mask, logits);
    const auto row = [&](size_t i) {
      return std::span<const float>(logits).subspan(i * vocab, vocab);
    };
    for (int r = 0; r < 5; ++r) EXPECT_EQ(max_difference(row(r), alone_a.row(r)), 0) << level;
    EXPECT_EQ(max_difference(row(7), alone_b.row(0)), 0) << level;
    EXPECT_EQ(max_difference(row(9), alone_b.row(1)), 0) << level;
    EXPECT_EQ(max_difference(row(6), std::vector<float>(vocab, 0)), 0) << level;
  }
}

TEST(Api, LevelFromArgumentElseEnvironmentElse1) {
  const BaselineModel baseline = load_baseline_model(kMini);
  const auto level = [&](std::optional<int> asked) {
    AdaptiveModel model = load_adaptive_model(baseline, {.optimization_level = asked});
    EXPECT_EQ(model.info().optimization_level, model.optimization_level());
    return model.optimization_level();
  };
  Environment::set(nullptr);
  EXPECT_EQ(level({}), 1);
  {
    const Environment environment("2");
    EXPECT_EQ(level({}), 2);
    EXPECT_EQ(level(0), 0);
    EXPECT_EQ(load_adaptive_model(baseline).info().weights, "int8");
  }
  for (const char* bad : {"4", "-1", "two", "1.0", " 1", "99999999999"}) {
    const Environment environment(bad);
    expect_contains(error_of([&] { level({}); }), "OPTIMIZATION_LEVEL");
    EXPECT_EQ(level(1), 1);
  }
  const Environment environment("");
  EXPECT_EQ(level({}), 1);
}

TEST(Api, EvaluationIsTheReferencesAndAgainstItselfIsEqual) {
  AdaptiveModel model = load(1), other = load(1), level2 = load(2);
  const std::string text = read_file(std::string(SENTINEL_SOURCE_DIR) + "/texts/validation.txt");
  const auto result = model.evaluate(text, {.max_windows = 2, .against = &other});
  const auto& windows = reference()["perplexity"]["validation.txt"]["window_nll_first20"];
  EXPECT_NEAR(result.nll_mean, (windows[0].get<double>() + windows[1].get<double>()) / 2, 2e-5);
  EXPECT_NEAR(result.perplexity, std::exp(result.nll_mean), 1e-9);
  EXPECT_EQ(result.tokens_scored, 2 * 511);
  EXPECT_EQ(result.text_sha256, sha256_hex(text));
  EXPECT_GT(result.bits_per_byte, 0);
  ASSERT_TRUE(result.divergence);
  EXPECT_LT(result.divergence->kl_mean, 1e-9);
  EXPECT_EQ(result.divergence->top1_agreement, 1);
  const auto low = level2.evaluate(text, {.max_windows = 2, .against = &model});
  EXPECT_GT(low.divergence->kl_mean, 0);
  EXPECT_NEAR(low.divergence->perplexity_base, result.perplexity, 1e-6);
  const auto cut =
      model.evaluate(text, {.max_windows = 5, .on_window = [](int done, int) { return done < 2; }});
  EXPECT_TRUE(cut.interrupted);
  EXPECT_EQ(cut.windows, 2);
}

TEST(Api, HeadsAndTheirReport) {
  AdaptiveModel model = load(1);
  const std::vector<int32_t> ids = reference()["prompts"][0]["ids"];
  const Logits open = model.forward(ids);
  EXPECT_TRUE(model.set_head_state(0, 3, HeadState::withdrawn));
  EXPECT_GT(max_difference(model.forward(ids).values, open.values), 1e-3);
  model.set_consent(2, 5, false);
  EXPECT_FALSE(model.set_head_state(2, 5, HeadState::active));
  EXPECT_TRUE(model.set_gate(1, 0, 0.1F));
  const AgencyReport report = model.get_agency_report();
  EXPECT_EQ(report.num_layers, 8);
  EXPECT_EQ(report.total_violations, 1);
  EXPECT_EQ(report.heads_active, 62);
  EXPECT_EQ(report.layer_reports[0].withdrawn_head_indices, std::vector<int>{3});
  EXPECT_EQ(report.layer_reports[0].active_heads, 7);
  ASSERT_EQ(report.layer_reports[2].recent_violations.size(), 1U);
  EXPECT_EQ(report.layer_reports[2].violation_count, 1);
  EXPECT_EQ(report.layer_reports[2].recent_violations[0].head_idx, 5);
  EXPECT_GT(report.layer_reports[3].utilization[0], 0);
  EXPECT_EQ(model.get_gate_activity()[1], (std::vector<int>{1, 2, 3, 4, 5, 6, 7}));
  EXPECT_EQ(model.head_status(0, 3).state, HeadState::withdrawn);
  expect_contains(error_of([&] { model.set_gate(8, 0, 1); }), "layer 8");
  expect_contains(error_of([&] { model.set_gate(0, 8, 1); }), "head 8");
  expect_contains(error_of([&] { model.set_gate(0, 0, 1.5F); }), "1.5");
  expect_contains(error_of([&] { parse_head_state("asleep"); }), "asleep");
}

TEST(Api, ViolationsOfALayerAreCountedBeyondTheLog) {
  AdaptiveModel model = load(1);
  model.set_consent(0, 0, false);
  model.set_consent(1, 0, false);
  for (int i = 0; i < 300; ++i) model.set_head_state(0, 0, HeadState::active);
  for (int i = 0; i < 300; ++i) model.set_head_state(1, 0, HeadState::active);
  const AgencyReport report = model.get_agency_report();
  EXPECT_EQ(report.layer_reports[0].violation_count, 300);
  EXPECT_EQ(report.layer_reports[1].violation_count, 300);
  EXPECT_EQ(report.layer_reports[1].recent_violations.size(), 5U);
  EXPECT_EQ(report.total_violations, 600);
}

TEST(Api, SavedModelsComputeTheSame) {
  AdaptiveModel model = load(1);
  model.prune(30);
  model.set_gate(4, 2, 0.5F);
  model.set_head_state(6, 1, HeadState::misaligned);
  const std::vector<int32_t> ids = reference()["prompts"][1]["ids"];
  const Logits expected = model.forward(ids);
  for (const bool padded : {false, true}) {
    const Folder folder;
    model.save_pretrained(folder.path(), {.dtype = "f32", .padded = padded});
    const BaselineModel saved = load_baseline_model(folder.path());
    EXPECT_TRUE(saved.has_tokenizer());
    int heads = 0;
    for (int l = 0; l < saved.n_layers(); ++l) heads += saved.n_heads(l);
    EXPECT_EQ(heads, padded ? 64 : model.info().heads_active);
    AdaptiveModel again = load_adaptive_model(saved, {.optimization_level = 1});
    EXPECT_LT(max_difference(again.forward(ids).values, expected.values), 1e-4);
  }
}

TEST(Api, PruneClosesTheLowestRankedHeads) {
  AdaptiveModel model = load(1);
  const auto heads = model.prune(30, {.strategy = "random", .seed = 3});
  EXPECT_EQ(heads.size(), 19U);
  EXPECT_EQ(model.info().heads_active, 45);
  for (const HeadId id : heads) EXPECT_EQ(model.head_status(id.layer, id.head).gate, 0);
  expect_contains(error_of([&] { model.prune(101); }), "101");
  expect_contains(error_of([&] { model.prune(10, {.strategy = "best"}); }), "best");
}

TEST(Api, PruneModelRemovesForGood) {
  const BaselineModel whole = load_baseline_model(kMini);
  const std::string text =
      read_file(std::string(SENTINEL_SOURCE_DIR) + "/texts/calibration.txt").substr(0, 40000);
  const BaselineModel small = prune_model(whole, {.heads = 25,
                                                  .ffn = 25,
                                                  .strategy = "magnitude",
                                                  .recover = "bias",
                                                  .calibration_text = text});
  EXPECT_LT(small.parameter_count(), whole.parameter_count());
  const std::vector<int32_t> ids = reference()["prompts"][1]["ids"];
  AdaptiveModel model = load_adaptive_model(small, {.optimization_level = 1});
  EXPECT_EQ(model.info().heads, 48);
  const Folder folder;
  small.save_pretrained(folder.path(), {.dtype = "f32"});
  AdaptiveModel again =
      load_adaptive_model(load_baseline_model(folder.path()), {.optimization_level = 1});
  EXPECT_EQ(max_difference(again.forward(ids).values, model.forward(ids).values), 0);
}

// The bundled model's tensors, as a caller that made them itself would hold them.
StateDict mini_state() {
  const auto file = std::make_shared<const std::string>(read_file(kMini + "/model.safetensors"));
  StateDict state;
  state.config_json = read_file(kMini + "/config.json");
  state.owner = file;
  for (const auto& entry : parse_safetensors(std::as_bytes(std::span(*file)), "file")) {
    state.tensors.push_back({entry.name, entry.dtype, entry.shape, entry.data});
  }
  return state;
}

TEST(Api, StateDictIsTheFileWithoutTheFile) {
  const std::vector<int32_t> ids = reference()["prompts"][0]["ids"];
  StateDict state = mini_state();
  const BaselineModel baseline = load_baseline_model(state);
  EXPECT_EQ(baseline.parameter_count(), load_baseline_model(kMini).parameter_count());
  AdaptiveModel model = load_adaptive_model(baseline, {.optimization_level = 1});
  EXPECT_EQ(max_difference(model.forward(ids).values, load(1).forward(ids).values), 0);
  expect_contains(error_of([&] { model.generate("text"); }), "tokenizer");
  expect_contains(error_of([&] { model.generate_ids(ids, {.stop = {"x"}}); }), "tokenizer");
  EXPECT_EQ(model.generate_ids(ids, {.max_new_tokens = 2, .temperature = 0}).tokens,
            load(1).generate_ids(ids, {.max_new_tokens = 2, .temperature = 0}).tokens);
  state.tokenizer = kMini;
  EXPECT_TRUE(load_baseline_model(state).has_tokenizer());
  state.tokenizer = "no/such folder";
  expect_contains(error_of([&] { load_baseline_model(state); }, ErrorKind::bad_input), "tokenizer");
}

TEST(Api, BrokenStateDictsAreRefused) {
  const auto refused = [](const std::function<void(StateDict&)>& damage, const std::string& part) {
    StateDict state = mini_state();
    damage(state);
    expect_contains(error_of([&] { load_baseline_model(state); }, ErrorKind::bad_input), part);
  };
  refused([](StateDict& s) { s.config_json = "{"; }, "configuration");
  refused([](StateDict& s) { s.config_json = "{}"; }, "model_type");
  refused([](StateDict& s) { s.tensors.pop_back(); }, "missing");
  refused([](StateDict& s) { s.tensors[0].name = "transformer.x"; }, "tensor");
  refused([](StateDict& s) { s.tensors[0].shape.push_back(1); }, "shape");
  refused([](StateDict& s) { s.tensors[0].shape = {int64_t{1} << 62, 64}; }, "shape");
  refused([](StateDict& s) { s.tensors[0].shape[0] = -1; }, "shape");
  refused([](StateDict& s) { s.tensors[0].dtype = "I32"; }, "type I32");
  refused([](StateDict& s) { s.tensors[0].data = nullptr; }, "no data");
  refused([](StateDict& s) { s.tensors.push_back(s.tensors[0]); }, "twice");
}

TEST(Api, BadRequestsAreErrors) {
  AdaptiveModel model = load(1);
  const BaselineModel& baseline = model.baseline();
  expect_contains(error_of([&] { model.forward({}); }), "no tokens");
  const std::vector<int32_t> outside = {4096}, many(513, 1);
  expect_contains(error_of([&] { model.forward(outside); }), "4096");
  expect_contains(error_of([&] { model.forward(many); }), "513");
  expect_contains(error_of([&] { model.generate_ids(outside); }), "4096");
  std::vector<float> small(10);
  expect_contains(error_of([&] { model.forward_into({many.data(), 1}, small); }), "logits");
  expect_contains(error_of([&] { model.forward_batch_into(-1, 5, {}, {}, {}); }), "batch");
  expect_contains(error_of([&] { model.forward_batch_into(1, -5, {}, {}, {}); }), "no tokens");
  expect_contains(error_of([&] { model.generate("a", {.max_new_tokens = 0}); }), "max_new_tokens");
  expect_contains(error_of([&] { model.evaluate(""); }), "text");
  expect_contains(error_of([&] { load_adaptive_model(baseline, {.device = "cuda"}); }), "cuda");
  expect_contains(error_of([&] { load_adaptive_model(baseline, {.threads = -1}); }), "threads");
  expect_contains(error_of([&] { load_adaptive_model(baseline, {.weights = "int3"}); }), "int3");
  expect_contains(error_of([&] { load_adaptive_model(baseline, {.isa = "mmx"}); }), "mmx");
  expect_contains(error_of([&] { load_adaptive_model(baseline, {.optimization_level = 4}); }), "4");
  expect_contains(error_of([] { load_baseline_model("no/such"); }, ErrorKind::bad_input),
                  "no/such");
}

// In TSan runs as well: the name matches what CI selects.
TEST(ApiConcurrency, TwoModelsOfOneBaselineInTwoThreads) {
  const BaselineModel baseline = load_baseline_model(kMini);
  const std::vector<int32_t> ids = reference()["prompts"][0]["ids"];
  std::vector<std::vector<int32_t>> tokens(2);
  const auto work = [&](size_t i) {
    AdaptiveModel model = load_adaptive_model(baseline, {.optimization_level = 1, .threads = 2});
    for (int round = 0; round < 3; ++round) {
      tokens[i] = model.generate_ids(ids, {.max_new_tokens = 16, .temperature = 0}).tokens;
    }
  };
  std::thread other(work, 0);
  work(1);
  other.join();
  const auto& greedy = reference()["prompts"][0]["greedy_ids"];
  const std::vector<int32_t> expected(greedy.begin(), greedy.begin() + 16);
  EXPECT_EQ(tokens[0], expected);
  EXPECT_EQ(tokens[1], expected);
}

TEST(Api, SaysWhatItIs) {
  const BuildInfo info = build_info();
  EXPECT_EQ(info.isas.back(), "scalar");
  expect_contains(read_file(std::string(SENTINEL_SOURCE_DIR) + "/CMakeLists.txt"),
                  "VERSION " + info.version);
}

TEST(Controlling, ClosesTowardsItsGoalAndOpensWhenCleared) {
  AdaptiveModel model = load(1);
  EXPECT_FALSE(model.controller_report());
  ControllerOptions options;
  options.max_perplexity_increase = 2;
  options.text = read_file(bundled_text("validation")).substr(0, 6000);
  options.max_windows = 1;
  model.set_head_state(0, 0, HeadState::withdrawn);
  model.set_controller(options);
  model.generate("The captain", {.max_new_tokens = 4, .temperature = 0});
  const ControllerReport report = model.controller_report().value();
  EXPECT_EQ(report.goal, "quality");
  EXPECT_EQ(report.goal_met, true);
  EXPECT_GT(report.heads_closed, 0);
  EXPECT_EQ(model.info().heads_active, 63 - report.heads_closed);
  EXPECT_LE(report.perplexity_after, report.perplexity_before * 1.02);
  const double after = model.evaluate(options.text, {.max_windows = 1}).perplexity;
  EXPECT_NEAR(after, report.perplexity_after, 1e-6 * after);
  model.clear_controller();
  EXPECT_EQ(model.info().heads_active, 63);
  EXPECT_FALSE(model.controller_report());
  model.set_controller(options);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(model.generate("The captain", {.max_new_tokens = 4, .cancel = stop.get_token()}),
               Error);  // the search ends too, and leaves the heads as they were
  EXPECT_EQ(model.info().heads_active, 63);
  model.clear_controller();
  model.set_controller(options);
  model.set_timing(true);
  GenerationOptions changing{.max_new_tokens = 4, .temperature = 0};
  changing.on_token = [&](int32_t, std::string_view) {  // neither is in use any more
    model.clear_controller();
    model.set_timing(false);
    return true;
  };
  EXPECT_EQ(model.generate("The captain", changing).tokens.size(), 4U);
  EXPECT_EQ(model.info().heads_active, 63);
  options.text.clear();
  expect_contains(error_of([&] { model.set_controller(options); }), "controller_text");
  AdaptiveModel extreme = load(3);
  options = {};
  options.tokens_per_second = 5;
  expect_contains(error_of([&] { extreme.set_controller(options); }), "level 3");
}

TEST(Timing, FillsPerformanceStatsAndChangesNothingElse) {
  AdaptiveModel model = load(1);
  const GenerationOptions greedy{.max_new_tokens = 12, .temperature = 0};
  const auto plain = model.generate("The captain", greedy).tokens;
  EXPECT_FALSE(model.get_agency_report().performance_stats);
  model.set_timing(true);
  EXPECT_FALSE(model.get_agency_report().performance_stats);  // nothing timed yet
  EXPECT_EQ(model.generate("The captain", greedy).tokens, plain);
  const PerformanceStats first = model.get_agency_report().performance_stats.value();
  EXPECT_GT(first.attention_time, 0);
  EXPECT_GT(first.ffn_time, 0);
  EXPECT_EQ(first.baseline_time, 0);
  EXPECT_LT(first.attention_time + first.ffn_time, first.total_time);
  EXPECT_NEAR(first.ffn_percentage, 100 * first.ffn_time / first.total_time, 1e-9);
  model.generate("The captain", greedy);
  EXPECT_GT(model.get_agency_report().performance_stats->total_time, first.total_time);
  model.set_timing(false);
  EXPECT_FALSE(model.get_agency_report().performance_stats);
}

}  // namespace
}  // namespace sentinel
