#include "app/sweep/profile_run.h"

#include <algorithm>
#include <optional>
#include <set>

#include "app/machine/machine.h"
#include "app/prune/ranking.h"
#include "app/report/previous_run.h"
#include "app/report/profile_json.h"
#include "app/report/recommend.h"
#include "app/report/run_folder.h"
#include "app/sweep/cell_set.h"
#include "app/sweep/conditions.h"
#include "app/sweep/environment.h"
#include "app/sweep/model_loading.h"
#include "app/sweep/multi_model.h"
#include "app/sweep/operation_profile.h"
#include "app/sweep/profile_inputs.h"
#include "app/sweep/recovered_models.h"
#include "app/sweep/resume.h"
#include "app/sweep/throughput.h"
#include "base/error.h"
#include "base/files.h"
#include "base/memory_meter.h"
#include "base/thread_pool.h"
#include "kernels/registry.h"

namespace sentinel {
namespace {

// The order comes from the file of a resumed run: with another one, what is closed would not be
// what the rows say.
void check_order(const std::vector<HeadId>& order, const ModelConfig& config) {
  std::set<HeadId> missing;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    for (int head = 0; head < config.layers[layer].n_heads; ++head) missing.insert({layer, head});
  }
  const bool known = std::all_of(order.begin(), order.end(),
                                 [&](const HeadId& id) { return missing.erase(id) == 1; });
  if (known && missing.empty()) return;
  throw bad_input(
      "--resume: removal_order does not list each head of the model once; profile anew");
}

constexpr int kBandwidthRounds = 2;

class ProfileRun {
 public:
  // `earlier` (may be null): what these options have measured already.
  ProfileRun(const ProfileOptions& options, const EarlierRun* earlier,
             const ProfileCallback& progress, const std::atomic<bool>* cancel)
      : options_(options),
        earlier_(earlier),
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
  void open_folder();
  void measure();
  void measure_bandwidth();
  void test_loading();
  void rank();
  void test_models();
  void time();
  void record_operations();
  void quality();
  void throughput();
  void compare();
  void size_model();
  void collect();
  void fit_points();
  void save();
  void save_artifacts();

  CellContext context();
  void report(const char* stage, int done = 0, int total = 0, const std::string& detail = "") {
    if (profiles_memory(options_)) memory_.sample(stage);
    if (progress_) progress_({stage, done, total, detail, "", checking_});
  }
  void notice(const std::string& text) {
    if (progress_) progress_({"", 0, 0, "", text, checking_});
  }
  CellProgress cell_progress(const char* stage) {
    return [this, stage](int done, int total, const Cell& cell) {
      report(
          stage, done, total,
          fmt::format("{} {} %, level {}", cell.variant, cell.pruning_level, cell.options.level));
    };
  }

  const ProfileOptions& options_;
  const EarlierRun* const earlier_;
  const ModelOptions& asked_;
  const ProfileCallback& progress_;
  const std::atomic<bool>* cancel_;
  ProfileInputs inputs_;
  std::vector<ProfileInputs> compared_;  // of the multi-model comparison
  ModelPool pool_;
  MemoryRecorder memory_;
  double weights_mb_ = 0, kv_mb_ = 0;  // of the adaptive model; 0: not measured
  bool checking_ = true;               // until the run's folder is made
  std::optional<RunFolder> folder_;
  MachineSpeed machine_{};
  HeadRanking ranking_;
  std::vector<std::string> isas_ = describe_machine().isas;
  CellSet cells_;
  ChartFormat chart_format_ = ChartFormat::png;
  ProfileResult result_;
};

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
  prepare(context(), CellSet::dense_original(options_));
  prepare(context(), optimized_cell(asked_, 0, {}));
  if (options_.test_all_optimization_levels) {
    for (int level = 0; level < kLevels; ++level) {
      prepare(context(), optimized_cell(CellSet::level_options(options_, level), 0, {}));
    }
  }
  if (!options_.cpu_specific_optimizations) return;
  for (const auto& isa : isas_) {
    prepare(context(), optimized_cell(CellSet::isa_options(options_, isa), 0, {}));
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
  if (result_.environment.contains("measured_bandwidth")) {
    machine_ = read_machine_speed(result_.environment["measured_bandwidth"]);
    return;
  }
  report("measuring the machine");
  const ModelInfo info = prepare(context(), optimized_cell(asked_, 0, {}))->info();
  const auto speeds = measure_machine({info.threads}, info.isa, kBandwidthRounds, cancel_, {},
                                      options_.max_footprint_mb);
  throw_if_set(cancel_);
  reset_peak_rss();  // the memory that was read for it is none that a model needs
  machine_ = speeds.front();
  result_.environment["measured_bandwidth"] = to_json(machine_);
}

void ProfileRun::test_loading() {
  if (result_.loading) return;
  const Cell baseline = CellSet::dense_original(options_);
  result_.loading = time_loading(
      inputs_.model, baseline.options, baseline.options, asked_, options_.iterations,
      [this](int done, int total) { report("loading", done, total); }, cancel_);
}

void ProfileRun::rank() {
  if (result_.strategy) {
    ranking_ = {result_.strategy->name, result_.strategy->definition, result_.strategy->scores, {}};
    for (const auto& [layer, head] : result_.strategy->removal_order) {
      ranking_.order.push_back({layer, head});
    }
    check_order(ranking_.order, inputs_.checkpoint->config());
    return;
  }
  report("ranking heads", 0, 0, options_.strategy);
  const auto& strategy = find_ranking_strategy(options_.strategy);
  // In f32 and by vector code at every level: the order is no measurement.
  ThreadPool pool(ThreadPool::count_for(asked_.threads));
  SublayerRunner runner(select_kernels(detect_cpu_features(), asked_.isa), pool);
  ranking_ = rank_heads(strategy, {.checkpoint = inputs_.checkpoint,
                                   .runner = &runner,
                                   .calibration = inputs_.calibration.tokens,
                                   .seed = options_.seed,
                                   .cancel = cancel_});
  StrategyResult strategy_result{
      ranking_.strategy, ranking_.definition, nullptr, ranking_.scores, {}};
  const TokenizedText& text = strategy.calibrates ? inputs_.calibration : inputs_.recovery;
  if (!text.tokens.empty()) {
    strategy_result.calibration = nlohmann::json{
        {"text", text.path}, {"text_sha256", text.sha256}, {"tokens", text.tokens.size()}};
  }
  for (const HeadId id : ranking_.order) {
    strategy_result.removal_order.emplace_back(id.layer, id.head);
  }
  result_.strategy = std::move(strategy_result);
}

// Also when a run is resumed: the fit is the same again.
void ProfileRun::fit_points() {
  if (!options_.test_integration_points) return;
  IntegrationFit fit;
  if (fits_points(options_)) {
    report("fitting integration points");
    const TokenizedText& text = inputs_.integration;
    IntegrationFitOptions fit_options = points_fit_options();
    fit_options.cancel = cancel_;
    const auto pool = std::make_shared<ThreadPool>(ThreadPool::count_for(asked_.threads));
    fit = fit_integration(inputs_.checkpoint, inputs_.checkpoint,
                          heads_to_remove(ranking_, kPointsPruning), text.tokens, pool, asked_.isa,
                          fit_options);
    result_.integration_fit = {
        {"text", text.path}, {"text_sha256", text.sha256}, {"tokens", fit.tokens}};
    for (const auto& set : fit.sets) result_.integration_fit["sets"][set.name] = to_json(set);
  }
  cells_.add(PointCells(options_, ranking_, inputs_.checkpoint->config(), std::move(fit.weights)));
}

void ProfileRun::time() {
  if (cells_.timed().empty()) return;
  const Conditions conditions;
  const auto keep = [&] {
    result_.environment["conditions"].push_back(conditions.finish("timing"));
  };
  try {
    time_cells(context(), cells_.timed(), options_.warmup, options_.iterations,
               cell_progress("warming up"), cell_progress("timing"));
  } catch (...) {
    keep();
    throw;
  }
  keep();
}

void ProfileRun::record_operations() {
  // For a trace alone, one recording is enough.
  const bool figures = tests_components(options_) || details_operations(options_);
  const int rounds = figures ? options_.iterations : 1;
  const auto trace_name = [](const Cell& cell) {
    return fmt::format("{}_pruning{}_trace.json", cell.variant, cell.pruning_level);
  };
  const auto traced = cells_.traced();
  const auto traces = [&](const Cell* cell) {
    return options_.trace_export && std::find(traced.begin(), traced.end(), cell) != traced.end();
  };
  auto cells = cells_.recorded();
  std::erase_if(cells, [&](const Cell* cell) {
    const auto& known = cell->run.operations;
    const bool has_figures = !figures || (known && known->generations >= rounds);
    return has_figures && (!traces(cell) || folder_->has_trace(trace_name(*cell)));
  });
  TraceSink sink;
  if (options_.trace_export) {
    sink = [&](const Cell& cell, const std::string& trace) {
      if (traces(&cell)) folder_->save_trace(trace_name(cell), trace);
    };
  }
  const auto list_traces = [&] {
    result_.traces.clear();
    for (const Cell* cell : traced) {
      if (folder_->has_trace(trace_name(*cell))) result_.traces.push_back(trace_name(*cell));
    }
  };
  try {
    profile_operations(context(), cells, rounds, cell_progress("recording operations"), sink);
  } catch (...) {
    list_traces();
    throw;
  }
  list_traces();
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

void ProfileRun::size_model() {
  if (!profiles_memory(options_)) return;
  constexpr double kMb = 1e6;
  const auto model = prepare(context(), optimized_cell(asked_, 0, {}));
  size_t longest = 0;
  for (const auto& prompt : inputs_.prompts) longest = std::max(longest, prompt.tokens.size());
  const auto length =
      static_cast<int>(positions_of(static_cast<int64_t>(longest), options_.generated_tokens));
  const auto kv = model->bytes_per_token(length) - model->bytes_per_token(0);
  weights_mb_ = static_cast<double>(model->info().weight_bytes) / kMb;
  kv_mb_ = static_cast<double>(kv * options_.batch_size) / kMb;
}

void ProfileRun::quality() {
  const auto cells = cells_.judged();
  const bool missing =
      std::any_of(cells.begin(), cells.end(), [](const Cell* cell) { return !cell->run.quality; });
  if (!missing) return;
  const EvalOptions eval = eval_options(options_, inputs_, cancel_);
  const auto& tokens = inputs_.text.tokens;
  const auto windows = eval_windows(inputs_.checkpoint->config(), tokens, eval);
  result_.quality_protocol = nlohmann::json{{"text", inputs_.text.path},
                                            {"text_sha256", inputs_.text.sha256},
                                            {"window", windows.front().size()},
                                            {"windows", windows.size()}};
  report("quality of the dense original");
  const auto dense = prepare(context(), CellSet::dense_original(options_));
  const BaseLogits base(*dense, tokens, eval);
  throw_if_set(cancel_);
  measure_quality(context(), cells, tokens, eval, base, cell_progress("quality"));
}

// Cells that were timed at least once go into the result.
void ProfileRun::collect() {
  cells_.collect(result_);
  if (weights_mb_ > 0) {
    result_.memory = MemoryFigures{memory_.samples(), weights_mb_, kv_mb_, memory_.peak_mb()};
  }
  result_.recommendation = recommend(result_);
}

void ProfileRun::save() {
  collect();
  folder_->save(result_);
}

void ProfileRun::measure() {
  measure_bandwidth();
  size_model();
  save();
  test_models();
  test_loading();
  save();
  rank();
  cells_ = CellSet(options_, ranking_, isas_);
  fit_points();
  cells_.restore(result_);
  save();
  time();
  save();
  record_operations();
  save();
  quality();
  save();
  throughput();
  collect();
  compare();
}

// Of complete runs only: `sentinel export` makes them from what an interrupted one kept.
void ProfileRun::save_artifacts() {
  if (options_.export_csv) folder_->save_csv(result_);
  if (!options_.visualize) return;
  report("drawing charts");
  result_.charts = folder_->save_charts(result_, chart_format_);
}

void ProfileRun::open_folder() {
  const Moment moment = current_moment();
  const nlohmann::json inputs = fingerprints(inputs_, compared_);
  if (earlier_) {
    check_inputs(*earlier_, inputs);
    folder_ = RunFolder::reopen(earlier_->folder, options_.output_prefix);
    result_ = earlier_->result;
    result_.environment["resumed"].push_back(moment.iso);
    if (result_.memory) memory_.restore(result_.memory->samples, result_.memory->peak_rss_mb);
  } else {
    folder_.emplace(options_.output_dir, moment.compact, options_.output_prefix);
    result_.timestamp = moment.seconds;
    result_.environment = describe_environment(moment);
    result_.environment["inputs"] = inputs;
    result_.args = args_json(options_);
    result_.args["model_name"] = inputs_.model;
    result_.prompts = to_json(inputs_.prompts);
  }
  result_.run_folder = folder_->path().string();
  result_.result_file = folder_->result_file().string();
}

// The file says that the run was interrupted until it is whole: also when the process is killed.
ProfileResult ProfileRun::run() {
  check_models();
  for (const std::string& warning : inputs_.warnings) notice(warning);
  for (const ProfileInputs& other : compared_) {
    for (const std::string& warning : other.warnings) {
      notice(fmt::format("{} (for {})", warning, printable(other.model)));
    }
  }
  if (options_.visualize && !can_write(ChartFormat::png)) {
    chart_format_ = ChartFormat::svg;
    notice(
        "warning: --visualize: rsvg-convert does not run here, so the charts will be SVG; "
        "install Debian's librsvg2-bin for PNG");
  }
  open_folder();
  checking_ = false;
  result_.interrupted = true;
  try {
    measure();
    save_artifacts();
    result_.interrupted = false;
    save();
  } catch (const Error& error) {
    save();
    if (error.kind() != ErrorKind::interrupted) throw;
  } catch (...) {  // of a progress callback
    save();
    throw;
  }
  return result_;
}

}  // namespace

ProfileResult run_profile(const ProfileOptions& options, const ProfileCallback& progress,
                          const std::atomic<bool>* cancel) {
  check_options(options);
  return ProfileRun(options, nullptr, progress, cancel).run();
}

ProfileResult resume_profile(const std::string& folder, const ProfileCallback& progress,
                             const std::atomic<bool>* cancel) {
  const EarlierRun earlier = open_earlier_run(folder);
  if (!earlier.result.interrupted) {
    throw usage_error("--resume: {}: this run is finished, nothing is missing; profile anew",
                      printable(folder));
  }
  check_options(earlier.options);
  return ProfileRun(earlier.options, &earlier, progress, cancel).run();
}

}  // namespace sentinel
