#include "app/bench/bench.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/memory_meter.h"
#include "base/rng.h"
#include "base/statistics.h"
#include "kernels/probe.h"

namespace sentinel {
namespace {

constexpr int kDefaultPrompt = 512, kDefaultGeneration = 128;

// A model at one thread count and agency mode, with the probe of the same threads.
struct Engine {
  int heads_removed = 0;  // percent that was left out of memory
  std::unique_ptr<Model> model;
  std::unique_ptr<Session> session;
  std::unique_ptr<MachineProbe> probe;
  std::optional<int> heads_closed;  // percent that the gates stand at
};

struct RowState {
  BenchRow row;
  Engine* engine = nullptr;
  double bytes_per_run_step = 0;  // read by one decode step, or by the whole prefill
  double flops_per_token = 0;
  std::vector<double> step_ms, machine_gbps, machine_gflops, bandwidth_fractions, flops_fractions;
};

void check_numbers(const std::vector<int>& values, const char* name, int low, int high) {
  for (const int v : values) {
    if (v < low || v > high) {
      throw usage_error("{}: {} is out of range; give numbers from {} to {}", name, v, low, high);
    }
  }
}

void check(const BenchOptions& o) {
  constexpr int kMost = 1'000'000;
  check_numbers(o.prompts, "n_prompt", 0, kMost);
  check_numbers(o.generations, "n_gen", 0, kMost);
  check_numbers(o.depths, "n_depth", 0, kMost);
  check_numbers(o.batches, "batch", 1, 4096);
  check_numbers(o.threads, "threads", 1, 1024);
  check_numbers(o.heads_closed, "heads_closed", 0, 100);
  check_numbers(o.heads_removed, "heads_removed", 0, 100);
  const std::pair<bool, const char*> empty[] = {
      {o.depths.empty(), "n_depth"},
      {o.batches.empty(), "batch"},
      {o.heads_closed.empty() && o.heads_removed.empty(), "heads_closed"}};
  for (const auto& [missing, name] : empty) {
    if (missing) throw usage_error("{}: an empty list; give at least one number", name);
  }
  check_numbers({o.repetitions}, "repetitions", 1, 100'000);
  check_numbers({o.warmup}, "warmup", 0, 100'000);
}

std::string test_name(const BenchRow& row) {
  std::string name =
      row.n_prompt ? fmt::format("pp{}", row.n_prompt) : fmt::format("tg{}", row.n_gen);
  if (row.n_depth) name += fmt::format("@d{}", row.n_depth);
  return name;
}

// Every (test, depth, batch), checked against the context.
std::vector<BenchRow> list_tests(const BenchOptions& options, int context) {
  std::vector<BenchRow> tests;
  const auto add = [&](int n_prompt, int n_gen, int depth, int batch) {
    BenchRow row;
    row.n_prompt = n_prompt;
    row.n_gen = n_gen;
    row.n_depth = depth;
    row.batch = batch;
    row.test = test_name(row);
    const int64_t length = int64_t{n_prompt} + n_gen + depth;
    if (length > context) {
      throw usage_error(
          "{}: it needs {} positions, the model's context has {}; give smaller "
          "numbers",
          row.test, length, context);
    }
    tests.push_back(row);
  };
  const int deepest = *std::max_element(options.depths.begin(), options.depths.end());
  const auto clipped = [&](int n) { return std::max(1, std::min(n, context - deepest)); };
  auto prompts = options.prompts, generations = options.generations;
  if (prompts.empty()) prompts = {clipped(kDefaultPrompt)};
  if (generations.empty()) generations = {clipped(kDefaultGeneration)};
  for (const int batch : options.batches) {
    for (const int depth : options.depths) {
      for (const int n : prompts) {
        if (n > 0) add(n, 0, depth, batch);
      }
      for (const int n : generations) {
        if (n > 0) add(0, n, depth, batch);
      }
    }
  }
  if (tests.empty()) throw usage_error("n_prompt and n_gen are 0: nothing to do; give one above 0");
  return tests;
}

// Runs rows; holds the random tokens, the same for every row and repetition.
class Bench {
 public:
  Bench(std::shared_ptr<const Checkpoint> checkpoint, const BenchOptions& options,
        const BenchCallback& progress)
      : checkpoint_(std::move(checkpoint)), options_(options), progress_(progress) {
    check(options_);
    const auto tests = list_tests(options_, checkpoint_->config().context_length);
    make_engines(tests);
    make_rows(tests);
    make_tokens();
  }

  BenchResult run() {
    const int rounds = options_.warmup + options_.repetitions;
    BenchResult result;
    for (int round = 0; round < rounds && !cancelled(); ++round) {
      for (size_t i = 0; i < rows_.size() && !cancelled(); ++i) {
        if (progress_) {
          progress_({static_cast<int>(round * rows_.size() + i),
                     static_cast<int>(rounds * rows_.size()), rows_[i].row.test});
        }
        repeat(rows_[i], round >= options_.warmup);
      }
    }
    result.interrupted = cancelled();
    for (RowState& state : rows_) {
      if (!state.row.samples_ts.empty()) result.rows.push_back(summarise(state));
    }
    return result;
  }

 private:
  bool cancelled() const { return options_.cancel && options_.cancel->load(); }

  void make_engines(const std::vector<BenchRow>& tests) {
    int batch = 1, length = 1;
    for (const BenchRow& test : tests) {
      batch = std::max(batch, test.batch);
      length = std::max(length, test.n_prompt + test.n_gen + test.n_depth);
    }
    auto threads = options_.threads;
    if (threads.empty()) threads = {options_.model.threads};
    std::vector<std::optional<AgencyMode>> modes(options_.agency.begin(), options_.agency.end());
    if (modes.empty()) modes = {options_.model.agency};
    std::vector<int> removed;
    for (const Heads& heads : list_heads()) {
      if (std::find(removed.begin(), removed.end(), heads.absent) == removed.end()) {
        removed.push_back(heads.absent);
      }
    }
    for (const int t : threads) {
      for (const std::optional<AgencyMode> mode : modes) {
        for (const int percent : removed) add_engine(t, mode, percent, batch, length);
      }
    }
  }

  void add_engine(int threads, std::optional<AgencyMode> mode, int removed, int batch, int length) {
    ModelOptions model_options = options_.model;
    model_options.threads = threads;
    model_options.agency = mode;
    model_options.removed_heads = random_heads(checkpoint_->config(), removed, options_.seed);
    Engine engine;
    engine.heads_removed = removed;
    engine.model = Model::create(checkpoint_, model_options);
    engine.session = engine.model->new_session(batch, length);
    const ModelInfo& info = engine.model->info();
    engine.probe = std::make_unique<MachineProbe>(info.threads, info.isa);
    engines_.push_back(std::move(engine));
  }

  // Percent of heads that a row closes or asks to remove, and that its model does not hold: at
  // level 3 closing is removing, and nothing can be opened again for the next row.
  struct Heads {
    int closed, removed, absent;
  };
  std::vector<Heads> list_heads() const {
    std::vector<Heads> list;
    const bool final = level_preset(options_.model.level).closing_is_final;
    for (const int percent : options_.heads_closed)
      list.push_back({percent, 0, final ? percent : 0});
    for (const int percent : options_.heads_removed) list.push_back({0, percent, percent});
    return list;
  }

  void make_rows(const std::vector<BenchRow>& tests) {
    for (const Heads& heads : list_heads()) {
      for (const BenchRow& test : tests) {
        for (Engine& engine : engines_) {
          if (engine.heads_removed != heads.absent) continue;
          RowState state;
          state.row = test;
          state.engine = &engine;
          state.row.info = engine.model->info();
          state.row.n_threads = state.row.info.threads;
          state.row.heads_closed_percent = heads.closed;
          state.row.heads_removed_percent = heads.removed;
          rows_.push_back(std::move(state));
        }
      }
    }
    for (RowState& state : rows_) measure_work(state);
  }

  // Bytes and operations with the row's heads.
  void measure_work(RowState& state) {
    set_heads(*state.engine, state.row.heads_closed_percent);
    const Model& model = *state.engine->model;
    BenchRow& row = state.row;
    row.heads_active = model.heads().active_count();
    const auto weights = static_cast<double>(model.bytes_per_token(0));
    const int tokens = row.n_prompt ? row.n_prompt : 1;
    const int context = row.n_depth + (row.n_prompt ? row.n_prompt : row.n_gen) / 2;
    const double kv = static_cast<double>(model.bytes_per_token(context)) - weights;
    const double sequences = row.n_prompt ? 1 : row.batch;
    state.bytes_per_run_step = weights + sequences * kv;
    row.bytes_per_token = state.bytes_per_run_step / (row.n_prompt ? tokens : row.batch);
    state.flops_per_token = model.prefill_flops(context, tokens) / tokens;
  }

  void make_tokens() {
    Rng rng(options_.seed);
    tokens_.resize(static_cast<size_t>(checkpoint_->config().context_length) + 4096);
    for (auto& token : tokens_) {
      token =
          static_cast<int32_t>(rng.below(static_cast<uint64_t>(checkpoint_->config().vocab_size)));
    }
    logits_.resize(static_cast<size_t>(engines_.front().session->max_sequences()) *
                   static_cast<size_t>(checkpoint_->config().vocab_size));
  }

  void set_heads(Engine& engine, int percent) {
    if (engine.heads_closed == percent || engine.heads_removed > 0) return;
    HeadTable& heads = engine.model->heads();
    for (int layer = 0; layer < heads.n_layers(); ++layer) {
      for (int head = 0; head < heads.n_heads(layer); ++head) heads.set_gate({layer, head}, 1);
    }
    for (const HeadId id : random_heads(engine.model->config(), percent, options_.seed)) {
      heads.set_gate(id, 0);
    }
    engine.heads_closed = percent;
  }

  void repeat(RowState& state, bool timed) {
    BenchRow& row = state.row;
    Engine& engine = *state.engine;
    set_heads(engine, row.heads_closed_percent);
    double gbps = 0, gflops = 0;
    if (timed) {
      gbps = machine_gbps(engine, static_cast<size_t>(state.bytes_per_run_step));
      gflops = engine.probe->arithmetic_gops(row.info.weights);
    }
    reset_peak_rss();
    std::vector<double> step_ms;
    const double seconds =
        row.n_prompt ? run_prefill(engine, row, step_ms) : run_decode(engine, row, step_ms);
    if (!timed || seconds <= 0) return;
    const double ts = static_cast<double>(row.n_prompt + row.n_gen) * row.batch / seconds;
    row.samples_ts.push_back(ts);
    const double probe_mb = static_cast<double>(engine.probe->held_bytes()) / 1e6;
    row.peak_rss_mb = std::max(row.peak_rss_mb, peak_rss_mb() - probe_mb);
    state.step_ms.insert(state.step_ms.end(), step_ms.begin(), step_ms.end());
    state.machine_gbps.push_back(gbps);
    state.machine_gflops.push_back(gflops);
    state.bandwidth_fractions.push_back(row.bytes_per_token * ts / 1e9 / gbps);
    state.flops_fractions.push_back(state.flops_per_token * ts / 1e9 / gflops);
  }

  // How fast this machine reads as many bytes as a step does. Of the model's own weights, so that
  // nothing of their size is held beside them; where a step reads far more, of memory of the probe.
  double machine_gbps(Engine& engine, size_t bytes) {
    constexpr size_t kMuch = size_t{1} << 20;
    const std::span<const std::byte> weights = engine.model->packed_weights();
    if (bytes > kMuch && bytes <= weights.size() + weights.size() / 8) {
      return engine.probe->read_gbps(weights.first(std::min(bytes, weights.size())));
    }
    // Pages cost seconds to get, so the probe in use keeps its own: one of all.
    for (Engine& other : engines_) {
      if (&other != &engine) other.probe->release();
    }
    return engine.probe->read_gbps(bytes);
  }

  // Seconds, or 0 when cancelled.
  double run_prefill(Engine& engine, const BenchRow& row, std::vector<double>& step_ms) {
    fill_context(engine, row);
    double total = 0;
    for (int b = 0; b < row.batch; ++b) {
      if (cancelled()) return 0;
      const std::span<const int32_t> tokens(tokens_.data() + row.n_depth,
                                            static_cast<size_t>(row.n_prompt));
      const double start = now_s();
      engine.session->prefill(b, tokens, logits_.data());
      const double seconds = now_s() - start;
      step_ms.push_back(seconds * 1e3);
      total += seconds;
    }
    return total;
  }

  double run_decode(Engine& engine, const BenchRow& row, std::vector<double>& step_ms) {
    fill_context(engine, row);
    double total = 0;
    for (int n = 0; n < row.n_gen; ++n) {
      if (cancelled()) return 0;
      const std::span<const int32_t> tokens(tokens_.data() + row.n_depth + n,
                                            static_cast<size_t>(row.batch));
      const double start = now_s();
      engine.session->step(tokens, logits_.data());
      const double seconds = now_s() - start;
      step_ms.push_back(seconds * 1e3);
      total += seconds;
    }
    return total;
  }

  // Empties every sequence, then brings the row's ones to its depth.
  void fill_context(Engine& engine, const BenchRow& row) {
    for (int s = 0; s < engine.session->max_sequences(); ++s) engine.session->truncate(s, 0);
    if (row.n_depth == 0) return;
    const std::span<const int32_t> tokens(tokens_.data(), static_cast<size_t>(row.n_depth));
    for (int b = 0; b < row.batch && !cancelled(); ++b) {
      engine.session->prefill(b, tokens, logits_.data());
    }
  }

  static BenchRow summarise(const RowState& state) {
    BenchRow row = state.row;
    row.avg_ts = mean(row.samples_ts);
    row.stddev_ts = sample_stddev(row.samples_ts);
    row.median_ts = median(row.samples_ts);
    row.step_ms_p50 = percentile(state.step_ms, 0.5);
    row.step_ms_p90 = percentile(state.step_ms, 0.9);
    row.step_ms_p99 = percentile(state.step_ms, 0.99);
    row.bandwidth_gbps = row.bytes_per_token * row.median_ts / 1e9;
    row.machine_gbps = median(state.machine_gbps);
    row.machine_gflops = median(state.machine_gflops);
    row.bandwidth_fraction = median(state.bandwidth_fractions);
    row.flops_fraction = median(state.flops_fractions);
    return row;
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
  const BenchOptions& options_;
  const BenchCallback& progress_;
  std::vector<Engine> engines_;
  std::vector<RowState> rows_;
  std::vector<int32_t> tokens_;
  std::vector<float> logits_;  // [max_sequences, vocab_size]
};

}  // namespace

BenchResult run_bench(std::shared_ptr<const Checkpoint> checkpoint, const BenchOptions& options,
                      const BenchCallback& progress) {
  return Bench(std::move(checkpoint), options, progress).run();
}

std::vector<HeadId> random_heads(const ModelConfig& config, int percent, uint64_t seed) {
  std::vector<HeadId> order;
  for (int layer = 0; layer < config.n_layers; ++layer) {
    const int n = config.layers[static_cast<size_t>(layer)].n_heads;
    for (int head = 0; head < n; ++head) order.push_back({layer, head});
  }
  Rng rng(seed);
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[rng.below(i)]);
  order.resize(order.size() * static_cast<size_t>(percent) / 100);
  return order;
}

}  // namespace sentinel
