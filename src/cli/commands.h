// The table of commands. A new command is one file with one setup function and one row in
// commands.cc.
#pragma once

#include <atomic>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>

namespace CLI {
class App;
}

namespace sentinel::cli {

// What every command shares.
struct RunContext {
  bool json = false;   // --json: one document on stdout and nothing else
  std::string output;  // --output: the document goes to this file too; empty: none
  const std::atomic<bool>* interrupted = nullptr;  // set by Ctrl-C

  // Hands over the result: to stdout with --json, to --output's file when given.
  // Error (runtime): the file cannot be written.
  void emit(const nlohmann::json& document) const;
};

// Runs the parsed command; returns the exit code. Throws Error.
using Runner = std::function<int(const RunContext&)>;

struct Command {
  const char* name;
  const char* summary;                 // one line for `sentinel --help`
  Runner (*setup)(CLI::App& command);  // registers the options; the runner owns what they fill
};

std::span<const Command> all_commands();

Runner setup_bench(CLI::App& command);
Runner setup_eval(CLI::App& command);
Runner setup_diff(CLI::App& command);
Runner setup_export(CLI::App& command);
Runner setup_generate(CLI::App& command);
Runner setup_heads(CLI::App& command);
Runner setup_info(CLI::App& command);
Runner setup_profile(CLI::App& command);
Runner setup_prune(CLI::App& command);

constexpr int kExitOk = 0, kExitFailed = 1, kExitUsage = 2, kExitInterrupted = 130;

// Parses and runs; errors become one line on stderr. Returns the exit code (the constants above).
int run(int argc, const char* const* argv, const std::atomic<bool>* interrupted);

}  // namespace sentinel::cli
