#include "app/sweep/profile_run.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "app/prune/ranking.h"
#include "app/report/previous_run.h"
#include "app/report/profile_json.h"
#include "app/report/recommend.h"
#include "app/report/run_folder.h"
#include "app/sweep/cells.h"
#include "app/sweep/environment.h"
#include "app/sweep/model_loading.h"
#include "app/sweep/multi_model.h"
#include "app/sweep/profile_inputs.h"
#include "app/sweep/recovered_models.h"
#include "app/sweep/throughput.h"
#include "base/error.h"

namespace sentinel {
namespace {

constexpr int kLoadingRounds = 3;
constexpr int kBandwidthRounds = 2;
constexpr int kLevelsTestPruning = 30;  // percent, as in the old tool
constexpr int kLevels = 4;

class ProfileRun {
 public:
  ProfileRun(const ProfileOptions& options, const ProfileCallback& progress,
             const std::atomic<bool>* cancel)
      : options_(options),
        asked_(options.model_options),
        progress_(progress),
        cancel_(cancel),
        inputs_(open_inputs(options)),
        compared_(options.multi_model_comparison ? open_compared(options)
                                                 : std::vector<ProfileInputs>{}),
        pool_(inputs_.checkpoint) {}

  ProfileResult run();

 private:
  void check_models();
  void measure();
  void measure_bandwidth();
  void test_loading();
  void rank();
  void test_models();
  void make_cells();
  void time();
  void quality();
  void throughput();
  void compare();
  void collect_memory();
  void collect();
  void save();
  void save_artifacts();

  CellContext context();
  Cell dense_original() const { return original_cell(asked_, 0, {}); }
  ModelOptions level_options(int level) const;
  std::vector<Cell*> all_cells();
  void report(const char* stage, int done = 0, int total = 0, const std::string& detail = "") {
    if (profiles_memory(options_)) memory_.sample(stage);
    if (progress_) progress_({stage, done, total, detail, ""});
  }
  void notice(const std::string& text) {
    if (progress_) progress_({"", 0, 0, "", text});
  }
  CellProgress cell_progress(const char* stage) {
    return [this, stage](int done, int total, const Cell& cell) {
      report(
          stage, done, total,
          fmt::format("{} {} %, level {}", cell.variant, cell.pruning_level, cell.options.level));
    };
  }

  const ProfileOptions& options_;
  const ModelOptions& asked_;
  const ProfileCallback& progress_;
  const std::atomic<bool>* cancel_;
  ProfileInputs inputs_;
  std::vector<ProfileInputs> compared_;  // of the multi-model comparison
  ModelPool pool_;
  MemoryRecorder memory_;
  std::optional<RunFolder> folder_;
  MachineSpeed machine_{};
  HeadRanking ranking_;
  std::deque<Cell> cells_;         // original and optimized of each pruning level, in turn
  std::optional<Cell> reference_;  // the dense original, when 0 % is not among the levels
  std::optional<Cell> again_;      // the dense original once more: A/A
  std::deque<Cell> level_cells_;
  ChartFormat chart_format_ = ChartFormat::png;
  ProfileResult result_;
};

ModelOptions ProfileRun::level_options(int level) const {
  ModelOptions options;  // the level's own choices: types asked for by name belong to one level
  options.level = level;
  options.threads = asked_.threads;
  options.isa = asked_.isa;
  options.agency = asked_.agency;
  return options;
}

// Bad weights, an unknown instruction set or a level that cannot run are found here, before the
// run's folder is made.
void ProfileRun::check_models() {
  if (const Recover recover = parse_recover(options_.recover); recover != Recover::none) {
    const RecoveredModels recovered{
        inputs_.checkpoint, inputs_.recovery.tokens, recover, asked_.threads, asked_.isa, cancel_};
    pool_.use_for_closed([this, recovered](const std::vector<HeadId>& heads) {
      report("refitting", 0, 0, fmt::format("without {} heads", heads.size()));
      return recovered.without(heads);
    });
  }
  report("preparing models");
  prepare(context(), dense_original());
  prepare(context(), optimized_cell(asked_, 0, {}));
  if (!options_.test_all_optimization_levels) return;
  for (int level = 0; level < kLevels; ++level) {
    prepare(context(), optimized_cell(level_options(level), 0, {}));
  }
}

CellContext ProfileRun::context() {
  CellContext context;
  context.pool = &pool_;
  context.tokenizer = inputs_.tokenizer.get();
  for (const auto& prompt : inputs_.prompts) context.work.prompts.push_back(prompt.tokens);
  context.work.generated_tokens = options_.generated_tokens;
  context.work.temperature = options_.temperature;
  context.work.seed = options_.seed;
  context.bandwidth = [this](int64_t bytes) { return bandwidth_for(machine_, bytes); };
  context.cancel = cancel_;
  if (profiles_memory(options_)) context.memory = &memory_;
  return context;
}

// With the threads and the instruction set that the optimized variant really runs on.
void ProfileRun::measure_bandwidth() {
  if (options_.max_footprint_mb <= 0) return;
  report("measuring the machine");
  const ModelInfo info = prepare(context(), optimized_cell(asked_, 0, {}))->info();
  const auto speeds = measure_machine({info.threads}, info.isa, kBandwidthRounds, cancel_, {},
                                      options_.max_footprint_mb);
  if (cancel_ && *cancel_) throw Error(ErrorKind::interrupted, "interrupted");
  machine_ = speeds.front();
  result_.environment["measured_bandwidth"] = to_json(machine_);
}

void ProfileRun::test_loading() {
  const Cell baseline = dense_original();
  result_.loading = time_loading(
      inputs_.model, baseline.options, baseline.options, asked_,
      std::min(options_.iterations, kLoadingRounds),
      [this](int done, int total) { report("loading", done, total); }, cancel_);
}

void ProfileRun::rank() {
  report("ranking heads", 0, 0, options_.strategy);
  const auto& strategy = find_ranking_strategy(options_.strategy);
  // At level 1 even if 0 was asked for: the order is no measurement, and level 0 would take
  // minutes.
  ModelOptions fast = asked_;
  fast.level = std::max(fast.level, 1);
  const auto model = prepare(context(), original_cell(fast, 0, {}));
  ranking_ = rank_heads(strategy, {inputs_.checkpoint, model.get(), inputs_.calibration.tokens,
                                   options_.seed, cancel_});
  StrategyResult strategy_result{
      ranking_.strategy, ranking_.definition, nullptr, ranking_.scores, {}};
  if (strategy.calibrates) {
    strategy_result.calibration = nlohmann::json{{"text", inputs_.calibration.path},
                                                 {"text_sha256", inputs_.calibration.sha256},
                                                 {"tokens", inputs_.calibration.tokens.size()}};
  }
  for (const HeadId id : ranking_.order) {
    strategy_result.removal_order.emplace_back(id.layer, id.head);
  }
  result_.strategy = std::move(strategy_result);
}

void ProfileRun::make_cells() {
  const auto levels =
      tests_pruning(options_) ? parse_pruning_levels(options_.pruning_levels) : std::vector<int>{};
  for (const int percent : levels) {
    const auto heads = heads_to_remove(ranking_, percent);
    cells_.push_back(original_cell(asked_, percent, heads));
    cells_.push_back(optimized_cell(asked_, percent, heads));
  }
  if (!levels.empty()) {
    if (levels.front() != 0) reference_ = dense_original();
    again_ = dense_original();
  }
  if (!options_.test_all_optimization_levels) return;
  const auto heads = heads_to_remove(ranking_, kLevelsTestPruning);
  for (int level = 0; level < kLevels; ++level) {
    level_cells_.push_back(optimized_cell(level_options(level), kLevelsTestPruning, heads));
    level_cells_.back().keep_text = options_.save_generated_text;
  }
}

std::vector<Cell*> ProfileRun::all_cells() {
  std::vector<Cell*> cells;
  if (reference_) cells.push_back(&*reference_);
  for (Cell& cell : cells_) cells.push_back(&cell);
  // The second dense original runs amid the others, not beside its twin.
  if (again_) cells.insert(cells.begin() + static_cast<int64_t>(cells.size() / 2), &*again_);
  for (Cell& cell : level_cells_) cells.push_back(&cell);
  return cells;
}

void ProfileRun::time() {
  if (all_cells().empty()) return;
  time_cells(context(), all_cells(), options_.warmup, options_.iterations, cell_progress("timing"));
}

void ProfileRun::throughput() {
  if (!tests_throughput(options_)) return;
  const auto heads = heads_to_remove(ranking_, kThroughputPruning);
  Cell cell = optimized_cell(asked_, kThroughputPruning, heads);
  cell.keep_text = options_.save_generated_text;
  time_throughput(context(), cell, inputs_.throughput_prompts, options_.batch_size, options_.warmup,
                  options_.iterations, cell_progress("throughput"), result_.throughput);
}

void ProfileRun::test_models() {
  if (compared_.empty()) return;
  CellContext shared = context();
  compare_models(
      options_, compared_, shared,
      [this](int done, int total, const std::string& model) {
        report("comparing models", done, total, model);
      },
      result_.models);
}

// Against what the folder held before this run.
void ProfileRun::compare() {
  if (!options_.compare_with_previous) return;
  const nlohmann::json current = to_json(result_);
  const auto previous = find_previous_run(options_.output_dir, current);
  result_.comparison = previous ? compare_with_previous(*previous, current)
                                : nlohmann::json{{"previous_file", nullptr},
                                                 {"previous_timestamp", nullptr},
                                                 {"settings_changed", nlohmann::json::array()},
                                                 {"rows", nlohmann::json::array()}};
}

void ProfileRun::collect_memory() {
  if (!profiles_memory(options_)) return;
  constexpr double kMb = 1e6;
  const auto model = prepare(context(), optimized_cell(asked_, 0, {}));
  size_t longest = 0;
  for (const auto& prompt : inputs_.prompts) longest = std::max(longest, prompt.tokens.size());
  const int length = static_cast<int>(longest) + options_.generated_tokens;
  const auto kv = model->bytes_per_token(length) - model->bytes_per_token(0);
  result_.memory =
      MemoryFigures{memory_.samples(), static_cast<double>(model->info().weight_bytes) / kMb,
                    static_cast<double>(kv * options_.batch_size) / kMb, memory_.peak_mb()};
}

void ProfileRun::quality() {
  if (all_cells().empty()) return;
  EvalOptions eval;
  eval.max_windows = options_.max_eval_windows;
  eval.tokenizer = inputs_.tokenizer.get();
  eval.cancel = cancel_;
  const auto& tokens = inputs_.text.tokens;
  const auto windows = eval_windows(inputs_.checkpoint->config(), tokens, eval);
  result_.quality_protocol = nlohmann::json{{"text", inputs_.text.path},
                                            {"text_sha256", inputs_.text.sha256},
                                            {"window", windows.front().size()},
                                            {"windows", windows.size()}};
  report("quality of the dense original");
  const auto dense = prepare(context(), dense_original());
  const BaseLogits base(*dense, tokens, eval);
  if (cancel_ && *cancel_) throw Error(ErrorKind::interrupted, "interrupted");
  measure_quality(context(), all_cells(), tokens, eval, base, cell_progress("quality"));
}

// Cells that were timed at least once go into the result.
void ProfileRun::collect() {
  for (const Cell& cell : cells_) {
    if (!cell.timed()) continue;
    auto& runs = cell.variant == "original" ? result_.original : result_.optimized;
    runs[cell.pruning_level] = cell.run;
  }
  if (reference_ && reference_->timed()) result_.aa_first = reference_->run;
  if (const auto it = result_.original.find(0); it != result_.original.end()) {
    result_.aa_first = it->second;
  }
  if (again_ && again_->timed()) result_.aa_second = again_->run;
  for (const Cell& cell : level_cells_) {
    if (cell.timed()) result_.levels[cell.run.level] = cell.run;
  }
  collect_memory();
  result_.recommendation = recommend(result_);
}

void ProfileRun::save() {
  collect();
  folder_->save(result_);
}

void ProfileRun::measure() {
  measure_bandwidth();
  save();
  test_models();
  test_loading();
  save();
  rank();
  make_cells();
  save();
  time();
  save();
  quality();
  save();
  throughput();
  collect();
  compare();
  save();
}

// Of complete runs only: `sentinel export` makes them from what an interrupted one kept.
void ProfileRun::save_artifacts() {
  if (options_.export_csv) folder_->save_csv(result_);
  if (!options_.visualize) return;
  report("drawing charts");
  result_.charts = folder_->save_charts(result_, chart_format_);
  save();
}

ProfileResult ProfileRun::run() {
  check_models();
  if (options_.visualize && !can_write(ChartFormat::png)) {
    chart_format_ = ChartFormat::svg;
    notice(
        "warning: --visualize: rsvg-convert does not run here, so the charts will be SVG; "
        "install Debian's librsvg2-bin for PNG");
  }
  const Moment moment = current_moment();
  folder_.emplace(options_.output_dir, moment.compact, options_.output_prefix);
  result_.timestamp = moment.seconds;
  result_.environment = describe_environment(moment);
  result_.args = args_json(options_);
  result_.args["model_name"] = inputs_.model;
  result_.prompts = to_json(inputs_.prompts);
  result_.run_folder = folder_->path().string();
  result_.result_file = folder_->result_file().string();
  try {
    measure();
    save_artifacts();
  } catch (const Error& error) {
    result_.interrupted = error.kind() == ErrorKind::interrupted;
    save();
    if (!result_.interrupted) throw;
  }
  return result_;
}

}  // namespace

ProfileResult run_profile(const ProfileOptions& options, const ProfileCallback& progress,
                          const std::atomic<bool>* cancel) {
  check_options(options);
  return ProfileRun(options, progress, cancel).run();
}

}  // namespace sentinel
