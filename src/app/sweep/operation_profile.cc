#include "app/sweep/operation_profile.h"

#include <algorithm>
#include <set>

#include "app/profile/op_times.h"
#include "base/error.h"
#include "base/statistics.h"
#include "model/trace_size.h"

namespace sentinel {
namespace {

constexpr size_t kMaxEvents = size_t{1} << 21;  // 48 MB a thread

const char* component_of(Op op) {
  switch (op) {
    case Op::embeddings:
      return "embeddings";
    case Op::norm:
      return "layernorm";
    case Op::qkv:
    case Op::attention:
    case Op::attention_output:
      return "attention";
    case Op::ffn_up:
    case Op::ffn_down:
      return "ffn";
    case Op::baseline_integration:
      return "baseline_integration";
    case Op::unet_connection:
      return "unet_connection";
    case Op::lm_head:
      return "lm_head";
    case Op::sampling:
      return "sampling";
    default:
      return "other";
  }
}

// Enough for one generation.
size_t events_of(const Model& model, const GenerationWork& work) {
  double passes = work.generated_tokens, rows = 0;
  for (const auto& prompt : work.prompts) {
    passes += prompt_passes(std::ssize(prompt));
    rows = std::max(rows, static_cast<double>(prompt.size()) + work.generated_tokens);
  }
  // Level 0 computes the sequences of a batch one by one.
  if (!model.info().kv_cache) passes *= static_cast<double>(work.prompts.size());
  const double events = trace_events(model, passes, rows);
  return static_cast<size_t>(std::min(events, static_cast<double>(kMaxEvents)));
}

// `mean` over n - 1 values becomes that over n.
void add_to_mean(double& mean, double value, int n) { mean += (value - mean) / n; }

void add_phase(const PhaseTimes& phase, double scale_ms, std::map<std::string, double>& means,
               std::map<std::string, double>& sums, int n) {
  std::map<std::string, double> times;
  double covered = 0;
  for (int op = 0; op < kOps; ++op) {
    const double seconds = phase.sum(static_cast<Op>(op)).seconds;
    times[component_of(static_cast<Op>(op))] += seconds;
    covered += seconds;
  }
  times["other"] += std::max(0.0, phase.total - covered);
  for (const char* name : kComponents) {
    add_to_mean(means[name], times[name] * scale_ms, n);
    sums[name] += times[name] * 1e3;
  }
}

void add_operations(const OpTimes& times, OperationProfile& profile) {
  const int n = profile.generations;
  const double per_step = times.steps > 0 ? 1e3 / times.steps : 0;
  size_t index = 0;
  for (size_t l = 0; l < times.prefill.layers.size(); ++l) {
    for (int op = 0; op < kOps; ++op) {
      const OpTime& prefill = times.prefill.layers[l][static_cast<size_t>(op)];
      const OpTime& decode = times.decode.layers[l][static_cast<size_t>(op)];
      if (prefill.count == 0 && decode.count == 0) continue;
      if (n == 1) {
        profile.operations.push_back({static_cast<int>(l) - 1, to_string(static_cast<Op>(op))});
      }
      OperationTime& entry = profile.operations.at(index++);
      add_to_mean(entry.prefill_ms, prefill.seconds * 1e3, n);
      add_to_mean(entry.step_ms, decode.seconds * per_step, n);
      add_to_mean(entry.wait_ms, decode.wait * per_step, n);
    }
  }
}

void add_recording(const OpTimes& times, OperationProfile& profile) {
  const int n = ++profile.generations;
  std::map<std::string, double> sums;
  add_phase(times.prefill, 1e3, profile.prefill_ms, sums, n);
  add_phase(times.decode, times.steps > 0 ? 1e3 / times.steps : 0, profile.step_ms, sums, n);
  for (const auto& [name, ms] : sums) profile.component_ms[name].push_back(ms);
  double wait = 0;
  for (int op = 0; op < kOps; ++op) {
    wait +=
        times.prefill.sum(static_cast<Op>(op)).wait + times.decode.sum(static_cast<Op>(op)).wait;
  }
  add_to_mean(profile.wait_percent, 100 * wait / (times.prefill.total + times.decode.total), n);
  profile.dropped_events += times.dropped;
  add_operations(times, profile);
}

void add_bytes(const CellContext& context, const Model& model, const Cell& cell,
               OperationProfile& profile) {
  const OpBytes bytes = model.operation_bytes(context.half_way(cell.run));
  profile.component_bytes.clear();
  for (const char* name : kComponents) profile.component_bytes[name] = 0;
  for (int op = 0; op < kOps; ++op) {
    // Every sequence of the batch has its own keys, values and embeddings.
    const bool per_sequence =
        static_cast<Op>(op) == Op::attention || static_cast<Op>(op) == Op::embeddings;
    profile.component_bytes[component_of(static_cast<Op>(op))] +=
        bytes[static_cast<size_t>(op)] * (per_sequence ? cell.run.batch_size : 1);
  }
}

}  // namespace

void profile_operations(const CellContext& context, const std::vector<Cell*>& cells, int rounds,
                        const CellProgress& progress, const TraceSink& sink) {
  const int n_cells = static_cast<int>(cells.size());
  std::map<Cell*, std::vector<double>> totals, plain;
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < n_cells; ++i) {
      Cell& cell = *cells[static_cast<size_t>((i + round) % n_cells)];
      if (progress) progress(round * n_cells + i, rounds * n_cells, cell);
      const auto model = prepare(context, cell);
      plain[&cell].push_back(time_generation(*model, context.work, context.cancel).total * 1e3);
      CellContext recorded = context;
      OpTrace trace(model->info().threads, events_of(*model, context.work));
      recorded.work.trace = &trace;
      const GenerationTiming timing = time_generation(*model, recorded.work, context.cancel);
      if (round == 0) cell.run.operations.emplace();
      totals[&cell].push_back(timing.total * 1e3);
      add_recording(op_times(trace, model->config().n_layers), *cell.run.operations);
      cell.run.operations->generation_ms = median(totals[&cell]);
      cell.run.operations->plain_ms = median(plain[&cell]);
      add_bytes(context, *model, cell, *cell.run.operations);
      if (sink && round + 1 == rounds) {
        sink(cell,
             chrome_trace(trace, fmt::format("sentinel {} {} % pruning, level {}", cell.variant,
                                             cell.pruning_level, model->info().level)));
      }
    }
  }
}

}  // namespace sentinel
