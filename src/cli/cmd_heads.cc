#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/eval/eval.h"
#include "app/prune/head_report.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/table.h"

namespace sentinel::cli {
namespace {

struct Arguments {
  ModelArguments model;
  std::string text, heatmap;
  int max_windows = 8;
  uint64_t seed = 0;
};

void print_report(const HeadReport& report) {
  std::vector<std::vector<std::string>> rows = {{"layer", "head"}};
  for (const auto& score : report.scores) rows[0].push_back(score.strategy);
  rows[0].insert(rows[0].end(), {"H (nats)", "utilisation"});
  for (size_t l = 0; l < report.entropy.size(); ++l) {
    for (size_t h = 0; h < report.entropy[l].size(); ++h) {
      std::vector<std::string> row = {std::to_string(l), std::to_string(h)};
      for (const auto& score : report.scores) {
        row.push_back(fmt::format("{:.5f}", score.scores[l][h]));
      }
      row.push_back(fmt::format("{:.3f}", report.entropy[l][h]));
      row.push_back(fmt::format("{:.3f}", report.utilization[l][h]));
      rows.push_back(std::move(row));
    }
  }
  fmt::print("{}\nThe lowest score is removed first. Measured on {} tokens.\n", format_table(rows),
             report.tokens);
  for (const auto& score : report.scores) {
    fmt::print("{:<10} {}\n", score.strategy, score.definition);
  }
}

// librsvg's or ImageMagick's converter, whichever is installed.
void convert_to_png(const std::string& svg_path, const std::string& png_path) {
  const std::vector<std::vector<std::string>> converters = {
      {"rsvg-convert", "-o", png_path, svg_path}, {"convert", svg_path, png_path}};
  for (const auto& words : converters) {
    std::vector<char*> argv;
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      const int null = open("/dev/null", O_WRONLY);
      dup2(null, 1);
      dup2(null, 2);
      execvp(argv[0], argv.data());
      _exit(127);
    }
    int status = 1;
    if (child > 0) waitpid(child, &status, 0);
    if (child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
  }
  throw runtime_error(
      "--heatmap {}: png needs librsvg2-bin (rsvg-convert) or imagemagick; install "
      "one, or name a .svg file",
      png_path);
}

void write_heatmap(const HeadReport& report, const std::string& model, const std::string& path) {
  const std::string svg = heatmap_svg(report, "Heads of " + model);
  if (!path.ends_with(".png")) return write_file_atomic(path, svg);
  const std::string temporary = path + ".tmp.svg";
  write_file_atomic(temporary, svg);
  try {
    convert_to_png(temporary, path);
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
  unlink(temporary.c_str());
}

int run_heads(Arguments a, const RunContext& context) {
  if (!a.heatmap.empty() && !a.heatmap.ends_with(".svg") && !a.heatmap.ends_with(".png")) {
    throw usage_error("--heatmap {}: name a .svg or .png file", printable(a.heatmap));
  }
  if (a.max_windows < 1) throw usage_error("--max_windows {}: give 1 or more", a.max_windows);
  if (a.text.empty()) a.text = bundled_file("texts/calibration.txt").string();
  const OpenedModel opened = open_model(a.model);
  const EvalText text = load_eval_text(a.text, *opened.tokenizer);
  const auto limit = static_cast<size_t>(a.max_windows) *
                     static_cast<size_t>(opened.model->config().context_length);
  RankingInput input;
  input.checkpoint = opened.checkpoint;
  input.model = opened.model.get();
  input.calibration = std::span(text.tokens).first(std::min(limit, text.tokens.size()));
  input.seed = a.seed;
  input.cancel = context.interrupted;
  Progress progress;
  const HeadReport report =
      report_heads(input, [&](const std::string& stage) { progress.update(stage); });
  progress.clear();
  if (!a.heatmap.empty()) write_heatmap(report, opened.checkpoint->origin(), a.heatmap);
  nlohmann::json document = to_json(report);
  document["text"] = a.text;
  document["text_sha256"] = text.sha256;
  document["model"] = opened.checkpoint->origin();
  context.emit(document);
  if (!context.json) print_report(report);
  return kExitOk;
}

}  // namespace

Runner setup_heads(CLI::App& command) {
  auto a = std::make_shared<Arguments>();
  add_model_options(command, a->model);
  add_option(command, "text", a->text, "UTF-8 text to measure on (default: texts/calibration.txt)")
      ->type_name("FILE");
  add_option(command, "max_windows", a->max_windows, "of that text, from its start")
      ->type_name("N")
      ->capture_default_str();
  add_option(command, "seed", a->seed, "of the score random")->capture_default_str();
  add_option(command, "heatmap", a->heatmap, "draw a heat map: .svg, or .png")->type_name("FILE");
  return [a](const RunContext& context) { return run_heads(*a, context); };
}

}  // namespace sentinel::cli
