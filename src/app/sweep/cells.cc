#include "app/sweep/cells.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/memory_meter.h"
#include "base/rng.h"
#include "model/agency/report.h"

namespace sentinel {
namespace {

const char* const kTiming = "timing";  // stage of the snapshots

[[noreturn]] void mismatch(const Cell& cell, const char* what, const std::string& asked,
                           const std::string& ran) {
  throw runtime_error(
      "{} at {} % pruning: {} {} was asked for, but {} runs; nothing is reported "
      "under a wrong name",
      cell.variant, cell.pruning_level, what, asked, ran);
}

void check_info(const Cell& cell, const ModelInfo& info) {
  const ModelOptions& asked = cell.options;
  const auto check = [&](const char* what, const std::string& want, const std::string& have) {
    if (want != have) mismatch(cell, what, want, have);
  };
  const auto points = [](bool mix, bool unet) {
    return std::string(mix ? "mixing" : "no mixing") + (unet ? ", skips" : ", no skips");
  };
  check("integration:", points(asked.mix_baseline, asked.unet),
        points(info.mix_baseline, info.unet));
  check("level", std::to_string(asked.level), std::to_string(info.level));
  // Level 0 runs on one thread of plain code, whatever was asked for.
  if (asked.level > 0) {
    if (asked.threads > 0) {
      check("thread count", std::to_string(asked.threads), std::to_string(info.threads));
    }
    if (!asked.isa.empty()) check("instruction set", asked.isa, info.isa);
  }
  if (asked.weights) check("weight type", to_string(*asked.weights), to_string(info.weights));
  if (asked.lm_head) {
    check("output matrix type", to_string(*asked.lm_head), to_string(info.lm_head));
  }
  if (asked.kv) check("KV type", to_string(*asked.kv), to_string(info.kv));
  if (asked.agency) check("agency", to_string(*asked.agency), to_string(info.agency));
  check("kv_return", to_string(asked.kv_return), to_string(info.kv_return));
  const auto given = [](bool yes) { return yes ? "on" : "off"; };
  check("head means", given(asked.head_means != nullptr), given(info.head_means));
  check("protect_first", given(asked.protect_first), given(info.protect_first));
}

void close_exactly(Model& model, const Cell& cell) {
  HeadTable& table = model.heads();
  const bool removed = !cell.options.removed_heads.empty();
  for (int layer = 0; layer < table.n_layers(); ++layer) {
    for (int head = 0; head < table.n_heads(layer); ++head) {
      const HeadId id{layer, head};
      const bool closed = std::binary_search(cell.heads.begin(), cell.heads.end(), id);
      const bool open_now = table.is_active(id) && table.status(id).state == HeadState::active;
      if (closed && removed) continue;  // they are not there
      if (closed && table.is_active(id)) table.set_state(id, HeadState::withdrawn);
      if (!closed && !open_now) table.set_state(id, HeadState::active);
    }
  }
}

void describe_model(const CellContext& context, const Model& model, Cell& cell) {
  const ModelInfo& info = model.info();
  RunResult& run = cell.run;
  run.variant = cell.variant;
  run.pruning_level = cell.pruning_level;
  run.level = info.level;
  run.threads = info.threads;
  run.isa = info.isa;
  run.weights = to_string(info.weights);
  run.lm_head = to_string(info.lm_head);
  run.kv = kv_cache_name(info);
  run.agency = to_string(info.agency);
  run.tracking_interval = info.tracking_interval;
  run.baseline_integration = info.mix_baseline ? "mix" : "off";
  run.unet = info.unet ? "on" : "off";
  run.head_means = info.head_means;
  run.protect_first = info.protect_first;
  run.kv_cache = info.kv_cache;
  run.seed = context.work.seed;
  run.weight_bytes = info.weight_bytes;
  run.heads_active = model.heads().active_count();
  run.heads_total = model.config().total_heads();
  run.heads_pruned.clear();
  for (const HeadId id : cell.heads) run.heads_pruned.emplace_back(id.layer, id.head);

  const auto& prompts = context.work.prompts;
  run.batch_size = static_cast<int>(prompts.size());
  run.prompt_tokens = 0;
  run.prompt_total = 0;
  for (const auto& prompt : prompts) {
    run.prompt_tokens = std::max(run.prompt_tokens, static_cast<int>(prompt.size()));
    run.prompt_total += static_cast<int64_t>(prompt.size());
  }
  run.bytes_per_token = model.bytes_per_token(context.half_way(run));
  const int64_t kv_bytes = run.bytes_per_token - model.bytes_per_token(0);
  run.bytes_per_step = run.bytes_per_token + (run.batch_size - 1) * kv_bytes;
  run.machine_bandwidth = context.bandwidth ? context.bandwidth(run.bytes_per_step) : 0;
}

void keep_timing(const CellContext& context, const GenerationTiming& timing, Cell& cell) {
  RunResult& run = cell.run;
  run.generation_times.push_back(timing.total);
  run.prefill_times.push_back(timing.prefill);
  run.first_token_times.push_back(timing.first_token);
  if (!timing.steps.empty()) {
    run.decode_times.push_back(std::accumulate(timing.steps.begin(), timing.steps.end(), 0.0));
  }
  // 0.1 us is finer than the clock's own noise, and the file holds all of them.
  for (const double step : timing.steps) run.step_times.push_back(std::round(step * 1e7) / 1e7);
  run.tokens_generated.push_back(static_cast<int>(timing.tokens.size()));
  if (!cell.keep_text) return;
  std::vector<int32_t> ids = context.work.prompts.front();
  ids.insert(ids.end(), timing.tokens.begin(), timing.tokens.end());
  run.generated_text = context.tokenizer->decode(ids);
}

void snapshot_first(const CellContext& context, Cell& cell) {
  if (context.memory && cell.run.memory_profile.empty()) {
    cell.run.memory_profile.push_back(context.memory->take(kTiming));
  }
}

QualityFigures figures(const EvalResult& eval) {
  QualityFigures quality;
  quality.perplexity = eval.perplexity;
  quality.nll_mean = eval.nll_mean;
  quality.bits_per_byte = eval.bits_per_byte.value_or(std::numeric_limits<double>::quiet_NaN());
  quality.tokens_scored = eval.tokens_scored;
  if (eval.divergence) {
    quality.perplexity_delta_percent =
        100 * (eval.perplexity / eval.divergence->perplexity_base - 1);
    quality.kl_mean = eval.divergence->kl_mean;
    quality.kl_p99 = eval.divergence->kl_p99;
    quality.top1_agreement = eval.divergence->top1_agreement;
  }
  return quality;
}

}  // namespace

Cell original_cell(const ModelOptions& asked, int pruning_level, std::vector<HeadId> heads) {
  Cell cell;
  cell.variant = "original";
  cell.pruning_level = pruning_level;
  cell.options.level = std::min(asked.level, 1);
  cell.options.threads = asked.threads;
  cell.options.isa = asked.isa;
  cell.options.agency = AgencyMode::off;
  cell.options.removed_heads = heads;
  cell.heads = std::move(heads);
  return cell;
}

Cell optimized_cell(const ModelOptions& asked, int pruning_level, std::vector<HeadId> heads) {
  Cell cell;
  cell.variant = "optimized";
  cell.pruning_level = pruning_level;
  cell.options = asked;
  if (level_preset(asked.level).closing_is_final) cell.options.removed_heads = heads;
  cell.heads = std::move(heads);
  return cell;
}

std::shared_ptr<Model> prepare(const CellContext& context, const Cell& cell) {
  // Automatic transitions leave marks in the head table: such cells don't share a model.
  const bool own = cell.options.agency == AgencyMode::automatic;
  const auto model = context.pool->get(
      cell.options, own ? fmt::format("{}/{}", cell.variant, cell.pruning_level) : "", cell.heads);
  check_info(cell, model->info());
  close_exactly(*model, cell);
  model->heads().restart_tracking();  // of this cell and generation, not of those before it
  const int expected = model->config().total_heads() - static_cast<int>(cell.heads.size());
  const int active = model->heads().active_count();
  if (active != expected) {
    mismatch(cell, "active heads:", std::to_string(expected), std::to_string(active));
  }
  return model;
}

void warm_up(const CellContext& context, Cell& cell) {
  const auto model = prepare(context, cell);
  snapshot_first(context, cell);
  cell.warmup_times.push_back(time_generation(*model, context.work, context.cancel).total);
  ++cell.run.warmup_generations;
}

namespace {

nlohmann::json agency_json(const Model& model) {
  AgencyReport report = agency_report(model.heads());
  report_points(model.integration(), report);
  return to_json(report);
}

}  // namespace

void time_once(const CellContext& context, Cell& cell) {
  const auto model = prepare(context, cell);
  snapshot_first(context, cell);
  reset_peak_rss();
  const GenerationTiming timing = time_generation(*model, context.work, context.cancel);
  cell.run.peak_rss_mb = std::max(cell.run.peak_rss_mb, peak_rss_mb());
  describe_model(context, *model, cell);
  keep_timing(context, timing, cell);
  cell.run.agency_stats = model->info().agency == AgencyMode::off ? nullptr : agency_json(*model);
  if (context.memory) cell.run.memory_profile.push_back(context.memory->take(kTiming));
}

namespace {

// A cell is warm when two generations in a row took the same time, or when it had its share.
bool is_warm(const Cell& cell, int warmup) {
  constexpr double kSame = 0.05;
  constexpr int kLongest = 3;  // times what was asked for
  const auto& times = cell.warmup_times;
  const int n = static_cast<int>(times.size());
  if (n >= kLongest * warmup) return true;
  if (n < warmup || n < 2) return n >= warmup;
  const double a = times[times.size() - 2], b = times.back();
  return std::abs(a - b) <= kSame * std::min(a, b);
}

void warm_cells(const CellContext& context, const std::vector<Cell*>& cells, int warmup,
                const CellProgress& progress) {
  const int n_cells = static_cast<int>(cells.size());
  for (bool all_warm = false; !all_warm;) {
    all_warm = true;
    for (int i = 0; i < n_cells; ++i) {
      Cell& cell = *cells[static_cast<size_t>(i)];
      if (is_warm(cell, warmup)) continue;
      throw_if_set(context.cancel);
      if (progress) progress(i, n_cells, cell);
      warm_up(context, cell);
      all_warm = false;
    }
  }
}

// A shuffled order, then its reverse: a cell that always ran behind the same other one would find
// the caches as that one leaves them, which is worth 1 to 2 %.
void next_order(int round, int n_cells, std::vector<int>& order) {
  if (round % 2 == 1) {
    std::reverse(order.begin(), order.end());
    return;
  }
  order.resize(static_cast<size_t>(n_cells));
  std::iota(order.begin(), order.end(), 0);
  Rng random(static_cast<uint64_t>(round));
  for (int i = n_cells - 1; i > 0; --i) {
    std::swap(order[static_cast<size_t>(i)],
              order[static_cast<size_t>(random.below(static_cast<uint64_t>(i + 1)))]);
  }
}

}  // namespace

void time_cells(const CellContext& context, std::vector<Cell*> cells, int warmup, int iterations,
                const CellProgress& warming, const CellProgress& progress) {
  std::erase_if(cells, [&](const Cell* cell) {
    return static_cast<int>(cell->run.generation_times.size()) >= iterations;
  });
  warm_cells(context, cells, warmup, warming);
  const int n_cells = static_cast<int>(cells.size());
  const int total = n_cells * iterations;
  std::vector<int> order;
  for (int round = 0; round < iterations; ++round) {
    next_order(round, n_cells, order);
    for (int i = 0; i < n_cells; ++i) {
      Cell& cell = *cells[static_cast<size_t>(order[static_cast<size_t>(i)])];
      if (static_cast<int>(cell.run.generation_times.size()) > round) continue;
      throw_if_set(context.cancel);
      if (progress) progress(round * n_cells + i, total, cell);
      time_once(context, cell);
    }
  }
}

void measure_quality(const CellContext& context, std::vector<Cell*> cells,
                     std::span<const int32_t> tokens, const EvalOptions& options,
                     const BaseLogits& base, const CellProgress& progress) {
  int done = 0;
  for (Cell* cell : cells) {
    throw_if_set(context.cancel);
    if (progress) progress(done++, static_cast<int>(cells.size()), *cell);
    if (cell->run.quality) continue;
    const auto model = prepare(context, *cell);
    const EvalResult eval = evaluate(*model, tokens, options, &base);
    if (eval.interrupted) throw Error(ErrorKind::interrupted, "interrupted");
    cell->run.quality = figures(eval);
  }
}

}  // namespace sentinel
