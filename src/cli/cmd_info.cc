#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/info/info.h"
#include "app/machine/machine.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "model/model_json.h"

namespace sentinel::cli {
namespace {

struct Arguments {
  ModelArguments model;
  bool levels = false, machine = false, tensors = false;
};

const char* name_of(Activation activation) {
  switch (activation) {
    case Activation::gelu_tanh:
      return "gelu_tanh";
    case Activation::gelu_erf:
      return "gelu_erf";
    case Activation::relu:
      return "relu";
  }
  return "unknown";
}

// What the checkpoint itself asks for, by level; prune writes it where a level's own type costs too
// much.
nlohmann::json weights_of_level(const ModelConfig& config) {
  nlohmann::json types = nlohmann::json::object();
  for (size_t level = 0; level < config.weights_of_level.size(); ++level) {
    const auto& type = config.weights_of_level[level];
    if (type) types[std::to_string(level)] = to_string(*type);
  }
  return types;
}

nlohmann::json checkpoint_json(const Checkpoint& checkpoint, const CheckpointSummary& summary) {
  const ModelConfig& config = checkpoint.config();
  nlohmann::json tensors = nlohmann::json::array();
  for (const CheckpointTensor& tensor : checkpoint.tensors()) {
    tensors.push_back({{"name", tensor.name},
                       {"dtype", to_string(tensor.dtype)},
                       {"shape", tensor.shape},
                       {"bytes", tensor.bytes}});
  }
  return {{"folder", checkpoint.folder().string()},
          {"origin", checkpoint.origin()},
          {"family", config.family},
          {"parameters", summary.parameters},
          {"bytes", summary.bytes},
          {"bytes_by_role", summary.bytes_by_role},
          {"bytes_by_dtype", summary.bytes_by_dtype},
          {"n_layers", config.n_layers},
          {"d_model", config.d_model},
          {"n_heads", config.n_heads},
          {"head_dim", config.head_dim},
          {"ffn_dim", config.ffn_dim},
          {"vocab_size", config.vocab_size},
          {"context_length", config.context_length},
          {"activation", name_of(config.activation)},
          {"tied_lm_head", config.tied_lm_head},
          {"heads_per_layer", summary.heads_per_layer},
          {"ffn_per_layer", summary.ffn_per_layer},
          {"weights_of_level", weights_of_level(config)},
          {"tensors", tensors}};
}

std::string per_layer(const std::vector<int>& values) {
  if (std::all_of(values.begin(), values.end(), [&](int v) { return v == values.front(); })) {
    return values.empty() ? "none" : fmt::format("{} in each", values.front());
  }
  return fmt::format("{}", fmt::join(values, " "));
}

void print_checkpoint(const Checkpoint& checkpoint, const CheckpointSummary& summary,
                      bool tensors) {
  const ModelConfig& c = checkpoint.config();
  fmt::print("{} from {}\n", c.family, checkpoint.origin());
  fmt::print("  {} parameters, {:.2f} MB in {} tensors\n", summary.parameters, summary.bytes / 1e6,
             checkpoint.tensors().size());
  fmt::print("  {} layers, width {}, head size {}, context {}, vocabulary {}, {}, lm_head {}\n",
             c.n_layers, c.d_model, c.head_dim, c.context_length, c.vocab_size,
             name_of(c.activation), c.tied_lm_head ? "tied" : "separate");
  fmt::print("  heads per layer: {}\n", per_layer(summary.heads_per_layer));
  fmt::print("  ffn neurons per layer: {}\n", per_layer(summary.ffn_per_layer));
  const nlohmann::json types = weights_of_level(c);
  for (const auto& [level, type] : types.items()) {
    fmt::print("  level {} holds its layers as {}\n", level, type.get<std::string>());
  }
  for (const auto& [dtype, bytes] : summary.bytes_by_dtype) {
    fmt::print("  stored as {}: {:.2f} MB\n", dtype, bytes / 1e6);
  }
  std::vector<std::vector<std::string>> roles = {{"role", "MB", "share"}};
  for (const auto& [role, bytes] : summary.bytes_by_role) {
    roles.push_back({role, fmt::format("{:.2f}", bytes / 1e6),
                     fmt::format("{:.1f}%", 100.0 * bytes / std::max<int64_t>(1, summary.bytes))});
  }
  fmt::print("\n{}", format_table(roles));
  if (!tensors) return;
  std::vector<std::vector<std::string>> rows = {{"tensor", "dtype", "shape", "bytes"}};
  for (const CheckpointTensor& t : checkpoint.tensors()) {
    rows.push_back({t.name, to_string(t.dtype), fmt::format("[{}]", fmt::join(t.shape, ", ")),
                    std::to_string(t.bytes)});
  }
  fmt::print("\n{}", format_table(rows));
}

nlohmann::json levels_json(const std::vector<LevelSummary>& levels) {
  nlohmann::json rows = nlohmann::json::array();
  for (const LevelSummary& level : levels) {
    nlohmann::json row = model_json(level.info);
    row["name"] = level.name;
    row["meant_for"] = level.purpose;
    row["promise"] = level.promise;
    rows.push_back(row);
  }
  return rows;
}

std::string agency_name(const ModelInfo& info) {
  const std::string mode = to_string(info.agency);
  return info.tracking_interval > 1 ? fmt::format("{}, 1 of {}", mode, info.tracking_interval)
                                    : mode;
}

void print_levels(const std::vector<LevelSummary>& levels, const ModelArguments& asked) {
  std::vector<std::vector<std::string>> rows = {{"level", "name", "meant for", "threads", "isa",
                                                 "weights", "lm_head", "kv cache", "agency",
                                                 "promise"}};
  for (const LevelSummary& l : levels) {
    rows.push_back({std::to_string(l.level), l.name, l.purpose, std::to_string(l.info.threads),
                    l.info.isa, to_string(l.info.weights), to_string(l.info.lm_head),
                    kv_cache_name(l.info), agency_name(l.info), l.promise});
  }
  fmt::print("{}", format_table(rows));
  if (asked.weights || asked.lm_head || asked.kv) {
    fmt::print("\nThe promises are those of the levels' own number types.\n");
  }
}

nlohmann::json machine_json(const MachineDescription& machine,
                            const std::vector<MachineSpeed>& speeds) {
  nlohmann::json caches = nlohmann::json::object();
  for (const CacheSize& cache : machine.caches) caches[cache.level] = cache.bytes;
  nlohmann::json measured = nlohmann::json::array();
  for (const MachineSpeed& speed : speeds) {
    nlohmann::json read = nlohmann::json::array();
    for (const BandwidthPoint& point : speed.read) {
      read.push_back({{"footprint_mb", point.footprint_mb}, {"gbps", point.gbps}});
    }
    measured.push_back({{"threads", speed.threads},
                        {"isa", speed.isa},
                        {"fma_gflops", speed.fma_gflops},
                        {"bf16_gflops", speed.bf16_gflops},
                        {"int8_gops", speed.int8_gops},
                        {"read_bandwidth", read}});
  }
  return {{"cpu_model", machine.cpu_model},
          {"cores", machine.cores},
          {"memory_gb", machine.memory_gb},
          {"system", machine.system},
          {"caches", caches},
          {"cpu_features", machine.cpu_features},
          {"isas", machine.isas},
          {"huge_pages", machine.huge_pages},
          {"measured", measured}};
}

void print_machine(const MachineDescription& machine, const std::vector<MachineSpeed>& speeds) {
  fmt::print("{}, {} cores, {:.1f} GB, {}\n", machine.cpu_model, machine.cores, machine.memory_gb,
             machine.system);
  for (const CacheSize& cache : machine.caches) {
    fmt::print("  {} {:.0f} KiB\n", cache.level, static_cast<double>(cache.bytes) / 1024);
  }
  fmt::print("  features: {}\n  kernels: {}\n  transparent huge pages: {}\n\n",
             fmt::join(machine.cpu_features, " "), fmt::join(machine.isas, " "),
             machine.huge_pages ? "yes" : "no");
  std::vector<std::vector<std::string>> rows = {{"measured (" + speeds.front().isa + ")"}};
  for (const MachineSpeed& s : speeds) rows[0].push_back(fmt::format("{} threads", s.threads));
  const auto add_peak = [&](const char* name, double MachineSpeed::*peak) {
    rows.push_back({name});
    for (const MachineSpeed& s : speeds) rows.back().push_back(fmt::format("{:.0f}", s.*peak));
  };
  add_peak("f32 products, GFLOP/s", &MachineSpeed::fma_gflops);
  add_peak("bf16 products, GFLOP/s", &MachineSpeed::bf16_gflops);
  add_peak("int8 products, GOP/s", &MachineSpeed::int8_gops);
  for (size_t i = 0; i < speeds.front().read.size(); ++i) {
    rows.push_back({fmt::format("read {:.0f} MB, GB/s", speeds.front().read[i].footprint_mb)});
    for (const MachineSpeed& s : speeds)
      rows.back().push_back(fmt::format("{:.1f}", s.read[i].gbps));
  }
  fmt::print("{}", format_table(rows));
}

int run_info(const Arguments& arguments, const RunContext& context) {
  const ModelOptions options = model_options(arguments.model);
  const bool show_model =
      !arguments.model.model.empty() || !(arguments.levels || arguments.machine);
  nlohmann::json document = nlohmann::json::object();
  if (show_model) {
    const auto checkpoint = open_checkpoint(arguments.model.model);
    const CheckpointSummary summary = summarise_checkpoint(*checkpoint);
    document["model"] = checkpoint_json(*checkpoint, summary);
    if (!context.json) print_checkpoint(*checkpoint, summary, arguments.tensors);
  }
  if (arguments.levels) {
    const auto levels = summarise_levels(open_checkpoint(arguments.model.model), options);
    document["levels"] = levels_json(levels);
    if (!context.json) print_levels(levels, arguments.model);
  }
  if (arguments.machine) {
    const MachineDescription machine = describe_machine();
    std::vector<int> threads = {1};
    const int wanted = options.threads ? options.threads : machine.cores;
    if (wanted != 1) threads.push_back(wanted);
    Progress progress;
    const auto speeds = measure_machine(
        threads, options.isa, 3, context.interrupted,
        [&](double share) { progress.update(fmt::format("measuring {:.0f}%", share * 100)); });
    progress.clear();
    document["machine"] = machine_json(machine, speeds);
    if (!context.json) print_machine(machine, speeds);
  }
  context.emit(document);
  return context.interrupted->load() ? kExitInterrupted : kExitOk;
}

}  // namespace

Runner setup_info(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  add_model_options(command, a->model);
  add_flag(command, "levels", a->levels, "the optimisation levels, as they run here");
  add_flag(command, "machine", a->machine, "CPU, caches, instruction sets, measured limits");
  add_flag(command, "tensors", a->tensors, "list every tensor");
  return [a](const RunContext& context) { return run_info(*a, context); };
}

}  // namespace sentinel::cli
