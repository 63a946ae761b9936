#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/diff/diff.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/table.h"

namespace sentinel::cli {
namespace {

struct Arguments {
  std::string a, b;
};

std::string change(int before, int after) {
  return before == after ? fmt::format("{}", before) : fmt::format("{} -> {}", before, after);
}

void print_diff(const CheckpointDiff& diff) {
  fmt::print("A  {}  {} parameters\nB  {}  {} parameters\n", diff.origin_a, diff.parameters_a,
             diff.origin_b, diff.parameters_b);
  if (diff.identical) {
    fmt::print("every weight is equal\n");
  } else {
    fmt::print(
        "relative change |B - A| / |A|: token embedding {:.4g}, position embedding {:.4g}, "
        "final norm {:.4g}, lm_head {:.4g}\n",
        diff.token_embedding, diff.position_embedding, diff.final_norm, diff.lm_head);
    std::vector<std::vector<std::string>> rows = {
        {"layer", "heads", "ffn", "qkv", "o", "up", "down", "biases", "norms"}};
    for (size_t l = 0; l < diff.layers.size(); ++l) {
      const LayerDiff& d = diff.layers[l];
      const auto moved = [](double x) { return fmt::format("{:.4g}", x); };
      const bool same_ffn = d.ffn_a == d.ffn_b;
      rows.push_back(
          {std::to_string(l),
           change(static_cast<int>(d.heads_a.size()), static_cast<int>(d.heads_b.size())),
           change(d.ffn_a, d.ffn_b), moved(d.qkv), moved(d.o), same_ffn ? moved(d.up) : "-",
           same_ffn ? moved(d.down) : "-", moved(d.biases), moved(d.norms)});
    }
    fmt::print("{}", format_table(rows));
  }
  for (const std::string& line : diff.config) fmt::print("config  {}\n", line);
}

}  // namespace

Runner setup_diff(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  command.add_option("A", a->a, "model folder, file or hub name")->type_name("MODEL")->required();
  command.add_option("B", a->b, "the model to compare it with")->type_name("MODEL")->required();
  return [a](const RunContext& context) {
    const CheckpointDiff diff = diff_checkpoints(*open_checkpoint(a->a), *open_checkpoint(a->b));
    context.emit(to_json(diff));
    if (!context.json) print_diff(diff);
    return kExitOk;
  };
}

}  // namespace sentinel::cli
