#include "app/sweep/cell_set.h"

#include <algorithm>

#include "app/sweep/operation_profile.h"

namespace sentinel {
namespace {

template <typename Key>
void restore_from(const std::map<Key, RunResult>& runs, const Key& key, Cell& cell) {
  const auto it = runs.find(key);
  if (it == runs.end()) return;
  const bool details = cell.run.operation_details;
  cell.run = it->second;
  cell.run.operation_details = details;
}

void append(std::deque<Cell>& cells, std::vector<Cell*>& out) {
  for (Cell& cell : cells) out.push_back(&cell);
}

}  // namespace

Cell CellSet::dense_original(const ProfileOptions& options) {
  return original_cell(options.model_options, 0, {});
}

ModelOptions CellSet::level_options(const ProfileOptions& options, int level) {
  ModelOptions own;
  own.level = level;
  own.threads = options.model_options.threads;
  own.isa = options.model_options.isa;
  own.agency = options.model_options.agency;
  return own;
}

ModelOptions CellSet::isa_options(const ProfileOptions& options, const std::string& isa) {
  ModelOptions own = options.model_options;
  own.level = std::max(own.level, 1);  // level 0 is plain code whatever the instruction set
  own.isa = isa;
  return own;
}

CellSet::CellSet(const ProfileOptions& options, const HeadRanking& ranking,
                 const std::vector<std::string>& isas) {
  const ModelOptions& asked = options.model_options;
  const auto levels =
      tests_pruning(options) ? parse_pruning_levels(options.pruning_levels) : std::vector<int>{};
  for (const int percent : levels) {
    const auto heads = heads_to_remove(ranking, percent);
    pruning_.push_back(original_cell(asked, percent, heads));
    pruning_.push_back(optimized_cell(asked, percent, heads));
  }
  for (Cell& cell : pruning_) cell.run.operation_details = details_operations(options);
  if (!levels.empty()) {
    if (levels.front() != 0) reference_ = dense_original(options);
    again_ = dense_original(options);
  }
  if (options.test_all_optimization_levels) {
    const auto heads = heads_to_remove(ranking, kLevelsTestPruning);
    for (int level = 0; level < kLevels; ++level) {
      levels_.push_back(optimized_cell(level_options(options, level), kLevelsTestPruning, heads));
      levels_.back().keep_text = options.save_generated_text;
    }
  }
  if (options.cpu_specific_optimizations) {
    for (const auto& isa : isas) {
      isas_.push_back(optimized_cell(isa_options(options, isa), 0, {}));
      isas_.back().keep_text = options.save_generated_text;
    }
  }
  records_pruning_ = details_operations(options) || (options.trace_export && !pruning_.empty());
  if (!tests_components(options) && !(options.trace_export && pruning_.empty())) return;
  components_.push_back(dense_original(options));
  components_.push_back(
      optimized_cell(asked, kComponentPruning, heads_to_remove(ranking, kComponentPruning)));
  for (Cell& cell : components_) cell.keep_text = options.save_generated_text;
}

void CellSet::restore(const ProfileResult& earlier) {
  for (Cell& cell : pruning_) {
    const auto& runs = cell.variant == "original" ? earlier.original : earlier.optimized;
    restore_from(runs, cell.pruning_level, cell);
  }
  if (reference_ && earlier.aa_first) reference_->run = *earlier.aa_first;
  if (again_ && earlier.aa_second) again_->run = *earlier.aa_second;
  for (Cell& cell : levels_) restore_from(earlier.levels, cell.options.level, cell);
  for (Cell& cell : isas_) restore_from(earlier.isas, cell.options.isa, cell);
  points_.restore(earlier);
  for (Cell& cell : components_) restore_from(earlier.components, cell.variant, cell);
}

std::vector<Cell*> CellSet::judged() {
  std::vector<Cell*> cells;
  if (reference_) cells.push_back(&*reference_);
  append(pruning_, cells);
  // The second dense original runs amid the others, not beside its twin.
  if (again_) cells.insert(cells.begin() + static_cast<int64_t>(cells.size() / 2), &*again_);
  append(levels_, cells);
  append(isas_, cells);
  points_.append_to(cells);
  return cells;
}

std::vector<Cell*> CellSet::timed() {
  std::vector<Cell*> cells = judged();
  append(components_, cells);
  return cells;
}

std::vector<Cell*> CellSet::recorded() {
  std::vector<Cell*> cells;
  if (records_pruning_) append(pruning_, cells);
  append(components_, cells);
  return cells;
}

std::vector<const Cell*> CellSet::traced() const {
  std::vector<const Cell*> cells;
  for (const Cell& cell : records_pruning_ ? pruning_ : components_) cells.push_back(&cell);
  return cells;
}

void CellSet::collect(ProfileResult& result) const {
  for (const Cell& cell : pruning_) {
    if (!cell.timed()) continue;
    auto& runs = cell.variant == "original" ? result.original : result.optimized;
    runs[cell.pruning_level] = cell.run;
  }
  if (reference_ && reference_->timed()) result.aa_first = reference_->run;
  if (const auto it = result.original.find(0); it != result.original.end()) {
    result.aa_first = it->second;
  }
  if (again_ && again_->timed()) result.aa_second = again_->run;
  for (const Cell& cell : levels_) {
    if (cell.timed()) result.levels[cell.run.level] = cell.run;
  }
  points_.collect(result);
  for (const Cell& cell : isas_) {
    if (cell.timed()) result.isas[cell.run.isa] = cell.run;
  }
  for (const Cell& cell : components_) {
    if (cell.timed()) result.components[cell.variant] = cell.run;
  }
}

}  // namespace sentinel
