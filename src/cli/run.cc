#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <exception>
#include <new>
#include <nlohmann/json.hpp>
#include <string_view>
#include <system_error>
#include <vector>

#include "base/build_info.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "base/files.h"
#include "cli/argument_checks.h"
#include "cli/commands.h"
#include "cli/option_table.h"
#include "cli/options.h"
#include "kernels/registry.h"

namespace sentinel::cli {
namespace {

int exit_code(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::usage:
    case ErrorKind::bad_input:
      return kExitUsage;
    case ErrorKind::interrupted:
      return kExitInterrupted;
    case ErrorKind::runtime:
      break;
  }
  return kExitFailed;
}

std::string one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  text.erase(text.find_last_not_of(' ') + 1);
  return text;
}

std::string dump(const nlohmann::json& document) {
  // Token texts may be cut inside a character: replace what is not UTF-8 instead of failing.
  return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// What was typed in front of a failure, known before parsing ends.
struct Invocation {
  std::string command;
  bool json = false;
};

Invocation peek(int argc, const char* const* argv) {
  Invocation invocation;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") break;
    if (argument == "--json") invocation.json = true;
    if (i == 1 && !argument.starts_with("-")) invocation.command = printable(argument, 40);
  }
  return invocation;
}

int fail(const Invocation& invocation, ErrorKind kind, const std::string& message) {
  const std::string line = one_line(message);
  std::fflush(stdout);
  std::fprintf(stderr, "sentinel%s%s: %s\n", invocation.command.empty() ? "" : " ",
               invocation.command.c_str(), line.c_str());
  if (invocation.json) {
    const nlohmann::json document = {{"error", {{"kind", to_string(kind)}, {"message", line}}}};
    std::fputs(dump(document).c_str(), stdout);
    std::fflush(stdout);
  }
  return exit_code(kind);
}

constexpr const char* kOutputFailed = "standard output: cannot write all of the result";

// A result that did not reach its reader (disk full, closed descriptor) is a failure.
void flush_stdout() {
  if (std::fflush(stdout) != 0 || std::ferror(stdout)) {
    throw Error(ErrorKind::runtime, kOutputFailed);
  }
}

std::string usage_hint(const Invocation& invocation) {
  return fmt::format("see sentinel {}{}--help", invocation.command,
                     invocation.command.empty() ? "" : " ");
}

std::string version_text() {
  return fmt::format("sentinel {}\ncommit {}, {}, {}\ninstruction sets: {}", build_version(),
                     build_commit(), build_compiler(), build_type(),
                     fmt::join(available_isas(detect_cpu_features()), " "));
}

// Options that print a text made from the option table and end: no command is needed.
void add_texts(CLI::App& app) {
  // Thrown to leave the parser; what() goes to standard output as it is.
  const auto print = [](const std::string& text) {
    throw CLI::CallForVersion(text.substr(0, text.find_last_not_of('\n') + 1), 0);
  };
  app.add_option_function<std::string>(
         "--completion",
         [&app, print](const std::string& shell) {
           print(completion_script(shell, option_table(app)));
         },
         "print a completion script for bash, zsh or fish")
      ->type_name("SHELL")
      ->trigger_on_parse();
  app.add_flag_callback(
         "--man", [&app, print] { print(man_page(option_table(app))); },
         "print the manual page (man -l - reads it)")
      ->trigger_on_parse();
}

// "Could not convert: NAME = VALUE", which does not say what is wrong.
std::string what_is_wrong(const CLI::ParseError& error) {
  constexpr std::string_view kStart = "Could not convert: ", kIs = " = ";
  const std::string text = error.what();
  const size_t is = text.find(kIs);
  if (!text.starts_with(kStart) || is == std::string::npos) return text;
  return fmt::format("{}: \"{}\" is not a number that it takes",
                     text.substr(kStart.size(), is - kStart.size()),
                     printable(text.substr(is + kIs.size())));
}

// --help and --version leave the parser by an exception, as mistakes do.
int end_of_parsing(const CLI::App& app, const CLI::ParseError& error,
                   const Invocation& invocation) {
  if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
    app.exit(error, std::cout, std::cout);
    std::cout.flush();
    flush_stdout();
    return kExitOk;
  }
  std::vector<std::string> names;
  for (const Command& command : all_commands()) names.emplace_back(command.name);
  const bool known = invocation.command.empty() ||
                     std::find(names.begin(), names.end(), invocation.command) != names.end();
  return fail(invocation, ErrorKind::usage,
              known ? fmt::format("{}; {}", what_is_wrong(error), usage_hint(invocation))
                    : fmt::format("no such command; there are {}", fmt::join(names, ", ")));
}

int parse_and_run(int argc, const char* const* argv, Invocation& invocation,
                  const std::atomic<bool>* interrupted) {
  CLI::App app("Sentinel makes pretrained transformers smaller and faster, and says what it cost.",
               "sentinel");
  app.formatter(help_formatter());
  app.set_version_flag("--version", version_text());
  app.require_subcommand(1);
  RunContext context;
  context.interrupted = interrupted;
  std::vector<std::pair<CLI::App*, Runner>> runners;
  for (const Command& command : all_commands()) {
    CLI::App* sub = app.add_subcommand(command.name, command.summary);
    Runner runner = command.setup(*sub);
    add_flag(*sub, "json", context.json, "print one JSON document on stdout and nothing else");
    add_option(*sub, "-o,output", context.output, "write the JSON document to this file too")
        ->type_name("FILE");
    check_paths(*sub);
    runners.emplace_back(sub, std::move(runner));
  }
  add_texts(app);
  refuse_empty_values(app, argc, argv);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return end_of_parsing(app, error, invocation);
  }
  check_output_file(context.output, "--output");
  for (const auto& [sub, runner] : runners) {
    if (!sub->parsed()) continue;
    invocation.command = sub->get_name();
    check_files(*sub);
    const int code = runner(context);
    flush_stdout();
    return code;
  }
  return kExitUsage;  // not reached: a subcommand is required
}

}  // namespace

void RunContext::emit(const nlohmann::json& document) const {
  const std::string text = dump(document);
  // The file first: where it cannot be written, standard output gets the error alone.
  if (!output.empty()) write_file_atomic(output, text);
  if (json) std::fputs(text.c_str(), stdout);
}

int run(int argc, const char* const* argv, const std::atomic<bool>* interrupted) {
  Invocation invocation = peek(argc, argv);
  try {
    return parse_and_run(argc, argv, invocation, interrupted);
  } catch (const Error& error) {
    return fail(invocation, error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(invocation, ErrorKind::runtime, "out of memory");
  } catch (const std::system_error& error) {
    // Printing throws one that names no stream.
    const bool output = std::ferror(stdout) != 0;
    return fail(invocation, ErrorKind::runtime, output ? kOutputFailed : error.what());
  } catch (const std::exception& error) {
    return fail(invocation, ErrorKind::runtime, fmt::format("internal error: {}", error.what()));
  }
}

}  // namespace sentinel::cli
