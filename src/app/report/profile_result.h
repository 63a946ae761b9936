// Everything a profiler run found out: the one structure that the JSON file, summary.md and the
// console tables are written from. docs/result_schema.json describes its JSON form.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace sentinel {

inline constexpr int kResultSchemaVersion = 1;

struct Percentiles {
  double p50 = 0, p90 = 0, p99 = 0;
};

// What leaving out or approximating cost, on a text that nothing was fitted to. KL and agreement
// are against the dense original.
struct QualityFigures {
  double perplexity = 0;
  double perplexity_delta_percent = 0;  // against the dense original
  double nll_mean = 0;                  // nats per token
  double bits_per_byte = 0;
  double kl_mean = 0, kl_p99 = 0;  // nats per token
  double top1_agreement = 0;       // share of tokens, 0..1
  int64_t tokens_scored = 0;
};

// Of this process, at one moment.
struct MemorySnapshot {
  double timestamp = 0;    // seconds since 1970
  double cpu_percent = 0;  // processor time of the last 10 ms or more; 100: one core
  double rss_mb = 0;       // 10^6 bytes
  std::string stage;       // what the run was doing
};

// One operation of one layer, from a recording of single operations.
struct OperationTime {
  int layer = -1;         // -1: of no layer
  std::string operation;  // "qkv"
  double prefill_ms = 0;  // mean over the recorded generations, until the first token
  double step_ms = 0;     // mean over the decode steps
  double wait_ms = 0;     // of step_ms: for the other threads
};

// Where the time of a cell's generations went. Components are groups of operations; a component's
// time includes waits for the other threads, so that all add up to the whole.
struct OperationProfile {
  std::map<std::string, std::vector<double>> component_ms;  // one per recorded generation
  std::map<std::string, double> prefill_ms, step_ms;        // means, by component
  std::map<std::string, int64_t> component_bytes;           // read by one decode step
  double generation_ms = 0, plain_ms = 0;  // medians: recorded; not recorded, for the overhead
  double wait_percent = 0;                 // of all time
  int64_t dropped_events = 0;
  int generations = 0;
  std::vector<OperationTime> operations;
};

// One cell of a comparison. Each sample vector holds one element per timed generation.
struct RunResult {
  std::string variant;    // "original" or "optimized", read back from the model
  int pruning_level = 0;  // percent of all heads
  int level = 0;          // optimisation level, read back
  int threads = 0;
  std::string isa, weights, lm_head, kv, agency;
  int tracking_interval = 0;
  std::string baseline_integration = "off", unet = "off";
  bool kv_cache = true, head_means = false, protect_first = false;
  uint64_t seed = 0;

  int prompt_tokens = 0;     // per sequence, longest
  int64_t prompt_total = 0;  // over the batch
  int batch_size = 1;
  std::vector<double> generation_times;       // s, prompt in to last token out
  std::vector<double> prefill_times;          // s, the prompts of all sequences
  std::vector<double> first_token_times;      // s, prompt in to first token out
  std::vector<double> decode_times;           // s, the steps after the first token
  std::vector<double> step_times;             // s, every step of every timed generation
  int warmup_generations = 0;                 // untimed ones before them
  std::vector<int> tokens_generated;          // per sequence
  std::optional<std::string> generated_text;  // first sequence, prompt included

  int64_t weight_bytes = 0;
  int64_t bytes_per_token = 0;   // at the context reached half-way through the generation
  int64_t bytes_per_step = 0;    // the same for the whole batch
  double machine_bandwidth = 0;  // bytes/s that fits this size of weights
  double peak_rss_mb = 0;
  int heads_active = 0, heads_total = 0;
  std::vector<std::pair<int, int>> heads_pruned;  // (layer, head)
  nlohmann::json agency_stats;                    // null without agency
  std::optional<QualityFigures> quality;
  std::vector<MemorySnapshot> memory_profile;  // before warm-up and after each timed generation
  std::optional<OperationProfile> operations;
  bool operation_details = false;  // the single operations go into the file, not the sums alone
};

struct LoadResult {
  std::vector<double> load_times;  // s, one per round
  int64_t memory_bytes = 0;        // packed weights
  int64_t parameter_count = 0;
};

struct LoadingResult {
  LoadResult baseline, original, optimized;
  double first_open_time = 0;  // s: the untimed first pass, possibly from a cold disk
};

struct StrategyResult {
  std::string name, definition;
  nlohmann::json calibration;                      // text, text_sha256, tokens; null without
  std::vector<std::vector<double>> scores;         // [layer][head]
  std::vector<std::pair<int, int>> removal_order;  // (layer, head)
};

// One configuration of the recommendation, by the RUN it came from.
struct Pick {
  std::string title;  // "fastest"
  std::string variant;
  int pruning_level = 0, level = 0;
  double tokens_per_second = 0, speedup = 0;  // against the dense original
  double noise_percent = 0;                   // of that speed-up; NaN: unknown
  std::optional<QualityFigures> quality;
  std::string reason;
  std::string warning = {};  // a sentence when it is not advised; else empty
};

// One prompt of the throughput test; its RUN has one generation per round.
struct ThroughputResult {
  std::string prompt;
  RunResult run;
};

// One model of the multi-model comparison.
struct ModelResult {
  std::string name, family;
  LoadingResult loading;
  RunResult inference;    // optimized, nothing pruned
  double total_time = 0;  // s, for loading and inference
};

struct MemoryFigures {
  std::vector<MemorySnapshot> samples;  // by stage
  double packed_weights_mb = 0;         // of the optimized variant, nothing pruned; 10^6 bytes
  double kv_cache_mb = 0;               // what its batch has cached at the end of a generation
  double peak_rss_mb = 0;               // of the whole run
};

struct ProfileResult {
  nlohmann::json environment = nlohmann::json::object();
  nlohmann::json args = nlohmann::json::object();
  nlohmann::json quality_protocol;  // text, sha256, window, windows: null before it is known
  nlohmann::json prompts = nlohmann::json::array();
  double timestamp = 0;  // seconds since 1970
  std::optional<LoadingResult> loading;
  std::optional<StrategyResult> strategy;
  std::map<int, RunResult> original, optimized;  // by pruning level in percent
  std::optional<RunResult> aa_first, aa_second;  // the dense original, measured twice
  std::map<int, RunResult> levels;               // by optimisation level
  // By configuration of the integration points and pruning level; what the fit was, and the
  // verdicts.
  std::map<std::string, std::map<int, RunResult>> integration;
  nlohmann::json integration_fit;
  std::vector<std::string> integration_verdicts;
  std::map<std::string, RunResult> isas;        // by instruction set
  std::map<std::string, RunResult> components;  // by variant, with operations
  std::vector<ThroughputResult> throughput;
  std::vector<ModelResult> models;
  std::optional<MemoryFigures> memory;
  nlohmann::json comparison;  // with the previous run (previous_run.h); null: not asked for
  std::vector<Pick> recommendation;
  std::vector<std::string> charts;  // names of the files in charts/
  std::vector<std::string> traces;  // names of the files in traces/
  bool interrupted = false;
  std::string run_folder, result_file;
};

// Perplexity over level 0's, percent, as measured (NaN: not), and what a level promises at most.
struct LevelPromise {
  double growth_percent, promised_percent;
};
std::optional<LevelPromise> level_promise(const ProfileResult& result, int level);  // 2 and 3

// Derived figures: one definition for every table and file. NaN where nothing was measured.
double tokens_per_second(const RunResult& run);          // emitted, all sequences, incl. prefill
double prefill_tokens_per_second(const RunResult& run);  // prompt tokens of all sequences
double decode_tokens_per_second(const RunResult& run);   // tokens after the first, all sequences
double bandwidth_fraction(const RunResult& run);  // of the machine's own, 0..1 and rarely above
Percentiles step_ms(const RunResult& run);
// The components in the order of reports; their names are the old tool's, and two more.
inline constexpr const char* kComponents[] = {
    "embeddings",      "layernorm", "attention", "ffn",  "baseline_integration",
    "unet_connection", "lm_head",   "sampling",  "other"};
// Half-width of an interval around the median of generation_times that holds the true median with
// about 95 %, in percent of the median: from the median absolute deviation, which outliers do not
// move, times what few samples need. Of one cell alone; reports have the next.
double noise_percent(const RunResult& run);
// Cells whose generations were timed in turn.
using RunGroup = std::vector<const RunResult*>;
RunGroup interleaved_runs(const ProfileResult& result);  // all but throughput and other models
RunGroup throughput_runs(const ProfileResult& result);
// The noise that reports give for a cell: as noise_percent, but the spread of a few generations
// counts beside the spread that all cells of the group have. NaN for less than two generations.
double moderated_noise_percent(const RunGroup& together, const RunResult& run);
// Half-width, percent, of the interval around the difference of two interleaved cells: from the
// moderated noise of both.
double pair_noise_percent(const ProfileResult& result, const RunResult& a, const RunResult& b);
// Generations more than 3.5 (robust) standard deviations off the median; never of fewer than 4.
std::vector<int> outliers(const RunResult& run);
// What two cells of this result must differ by to differ at all, percent: the A/A difference or the
// typical interval around the difference of two cells, whichever is larger. NaN of cells with less
// than two generations: two single times that happen to be close say nothing of the others.
double difference_noise_percent(const ProfileResult& result);
// |a - b| / mean in percent of the two cells' tokens per second; NaN without both.
double aa_difference_percent(const ProfileResult& result);

}  // namespace sentinel
