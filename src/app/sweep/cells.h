// The cells of a comparison, (variant, pruning level, optimisation level), and their measurement.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/eval/eval.h"
#include "app/profile/generation_timer.h"
#include "app/report/profile_result.h"
#include "app/sweep/memory_recorder.h"
#include "app/sweep/model_pool.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {

struct Cell {
  std::string variant;  // "original" or "optimized"
  int pruning_level = 0;
  ModelOptions options;       // as asked; removed_heads when the heads leave memory
  std::vector<HeadId> heads;  // the pruned ones
  bool keep_text = true;
  std::vector<double> warmup_times;  // s, of this process
  RunResult run;
  bool timed() const { return !run.generation_times.empty(); }
};

// The plain f32 transformer, heads removed from memory, no agency, at level 0 if that was asked for
// and at level 1 otherwise; same threads and instruction set as the optimized variant.
Cell original_cell(const ModelOptions& asked, int pruning_level, std::vector<HeadId> heads);
// The adaptive model at the level asked for: heads closed at run time, at level 3 removed.
Cell optimized_cell(const ModelOptions& asked, int pruning_level, std::vector<HeadId> heads);

struct CellContext {
  ModelPool* pool;
  const Tokenizer* tokenizer;
  GenerationWork work;
  std::function<double(int64_t bytes)> bandwidth;  // of the machine for this working set, bytes/s
  const std::atomic<bool>* cancel = nullptr;
  MemoryRecorder* memory = nullptr;  // null: no snapshots

  // Tokens in the context when half of a generation is done.
  int half_way(const RunResult& run) const { return run.prompt_tokens + work.generated_tokens / 2; }
};

// The cell's model with exactly the cell's heads closed and every other one open. Error (runtime)
// if what runs, read back from the model, is not what was asked for.
std::shared_ptr<Model> prepare(const CellContext& context, const Cell& cell);

using CellProgress = std::function<void(int done, int total, const Cell& cell)>;

// One generation that is not kept, after a memory snapshot if the cell has none.
void warm_up(const CellContext& context, Cell& cell);
// One generation into cell.run.
void time_once(const CellContext& context, Cell& cell);

// Untimed generations of every cell, at least `warmup`, until two in a row take the same time
// (within 5 %; 3 x warmup at most); then timed ones until each cell has `iterations`. A round
// visits every cell once, in an order of its own, so that drift of the machine and what the cell
// before leaves in the caches fall on all alike. Cells that have them already are left out.
// Error (interrupted): the cells keep what they have.
void time_cells(const CellContext& context, std::vector<Cell*> cells, int warmup, int iterations,
                const CellProgress& warming, const CellProgress& progress);

// Perplexity, and divergence from the base, of every cell without. Error (interrupted) between
// cells.
void measure_quality(const CellContext& context, std::vector<Cell*> cells,
                     std::span<const int32_t> tokens, const EvalOptions& options,
                     const BaseLogits& base, const CellProgress& progress);

}  // namespace sentinel
