// sentinel export
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "app/report/chart_files.h"
#include "app/report/charts.h"
#include "app/report/csv_export.h"
#include "app/report/export_findings.h"
#include "app/report/html_export.h"
#include "app/report/markdown_export.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "cli/options.h"

namespace sentinel::cli {
namespace {

namespace fs = std::filesystem;

struct ExportArguments {
  std::string input_file, format = "all", output_dir, chart_format = "png";
  bool create_charts = false, force = false;
};

struct OutputFile {
  fs::path path;
  std::string bytes;
};

std::string now() {
  return local_time(
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count());
}

// Everything that will be written, made before the first byte goes to disk.
std::vector<OutputFile> make_files(const ResultFile& file, const ExportArguments& arguments,
                                   const fs::path& folder, const RunContext& context) {
  const std::string base = fs::path(arguments.input_file).stem().string();
  const auto wanted = [&](const char* format) {
    return arguments.format == format || arguments.format == "all";
  };
  std::vector<OutputFile> files;
  if (wanted("csv")) {
    for (auto& csv : export_csv(file, base)) {
      files.push_back({folder / csv.name, std::move(csv.text)});
    }
  }
  if (wanted("markdown")) {
    files.push_back({folder / (base + "_report.md"), export_markdown(file, base, now())});
  }
  if (wanted("html")) {
    files.push_back({folder / (base + "_report.html"), export_html(file, base, now())});
  }
  if (arguments.create_charts) {
    const auto format = parse_chart_format(arguments.chart_format).value();
    for (const Chart& chart : export_charts(file)) {
      if (context.interrupted && *context.interrupted) {
        throw Error(ErrorKind::interrupted, "interrupted; nothing was written");
      }
      files.push_back(
          {folder / (base + "_charts") / fmt::format("{}.{}", chart.name, arguments.chart_format),
           render(chart, format)});
    }
  }
  return files;
}

void check_free(const std::vector<OutputFile>& files) {
  for (const OutputFile& file : files) {
    std::error_code error;
    if (!fs::exists(fs::symlink_status(file.path, error))) continue;
    throw usage_error(
        "{}: this file is already there; give --force to replace it, or another "
        "--output_dir",
        file.path.string());
  }
}

int run_command(const RunContext& context, const ExportArguments& arguments) {
  const fs::path input(arguments.input_file);
  fs::path folder(arguments.output_dir);
  if (folder.empty()) folder = input.has_parent_path() ? input.parent_path() : fs::path(".");
  const auto files = make_files(load_result_file(input), arguments, folder, context);
  if (!arguments.force) check_free(files);
  nlohmann::json written = nlohmann::json::array();
  for (const OutputFile& file : files) {
    ensure_writable_directory(file.path.parent_path());
    write_file_atomic(file.path, file.bytes);
    const std::string name = file.path.lexically_normal().string();
    if (!context.json) std::printf("%s\n", name.c_str());
    written.push_back(name);
  }
  context.emit({{"input_file", arguments.input_file}, {"files", written}});
  return kExitOk;
}

}  // namespace

Runner setup_export(CLI::App& command) {
  const auto arguments = std::make_shared<ExportArguments>();
  add_option(command, "-i,input_file", arguments->input_file, "result file of sentinel profile")
      ->type_name("FILE")
      ->required();
  add_option(command, "format", arguments->format, "csv, markdown, html or all")
      ->check(CLI::IsMember({"csv", "markdown", "html", "all"}))
      ->capture_default_str();
  add_option(command, "output_dir", arguments->output_dir,
             "folder for the files (default: the input file's)")
      ->type_name("FOLDER");
  add_flag(command, "create_charts", arguments->create_charts, "also write charts, one file each");
  add_option(command, "chart_format", arguments->chart_format, "png, svg or pdf")
      ->check(CLI::IsMember({"png", "svg", "pdf"}))
      ->capture_default_str();
  add_flag(command, "force", arguments->force, "replace files that are already there");
  return [arguments](const RunContext& context) { return run_command(context, *arguments); };
}

}  // namespace sentinel::cli
