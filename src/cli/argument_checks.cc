#include "cli/argument_checks.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "cli/option_table.h"

namespace sentinel::cli {
namespace {

namespace fs = std::filesystem;

// Files that are replaced and folders that are made.
constexpr std::array<std::string_view, 6> kOutputs = {
    "output", "heatmap", "out", "save_preset", "save_stats", "controller_journal"};
// What may be "-".
constexpr std::array<std::string_view, 4> kTexts = {"text", "prompt_file", "calibration",
                                                    "controller_text"};
// Folders in which a command makes names of its own.
constexpr std::array<std::string_view, 2> kParents = {"output_dir", "resume"};

template <size_t N>
bool is_one_of(const CLI::Option& option, const std::array<std::string_view, N>& names) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view name) { return option.check_lname(std::string(name)); });
}

struct NamedPath {
  std::string option, path;
};

NamedPath named(const CLI::Option& option, const std::string& path) {
  return {option.get_lnames().empty() ? option.get_name() : "--" + option.get_lnames().front(),
          path};
}

// Devices and pipes take what comes.
bool same_file(const fs::path& a, const fs::path& b) {
  std::error_code error;
  if (fs::is_other(a, error)) return false;
  return fs::weakly_canonical(a, error) == fs::weakly_canonical(b, error);
}

// Whether `output` would replace `input`, or a file of the folder `input`.
bool replaces(const fs::path& output, const fs::path& input) {
  std::error_code error;
  if (!fs::is_regular_file(output, error)) return false;
  if (fs::is_directory(input, error)) {
    return fs::equivalent(fs::absolute(output, error).parent_path(), input, error);
  }
  return fs::equivalent(output, input, error);
}

// The value of a list, which the parser would read without its empty items.
void check_list(const std::string& name, std::string_view value) {
  if (!value.starts_with(',') && !value.ends_with(',') && value.find(",,") == value.npos) return;
  throw usage_error("{}: an empty item in {}; give one, or leave the comma out", name,
                    printable(value));
}

// Whoever reads standard input second finds nothing there.
void check_standard_input(const CLI::App& command) {
  std::string reader;
  for (const CLI::Option* option : command.get_options()) {
    if (option->empty() || !is_one_of(*option, kTexts)) continue;
    for (const std::string& path : option->results()) {
      if (path != "-") continue;
      const std::string name = named(*option, path).option;
      if (!reader.empty()) {
        throw usage_error("{} -: {} reads standard input already; name a file for one of them",
                          name, reader);
      }
      reader = name;
    }
  }
}

}  // namespace

void check_paths(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    if (!is_path_type(option->get_type_name())) continue;
    option->check([&command, option](const std::string& value) -> std::string {
      if (value.empty()) return "an empty name; give one, or leave the option out";
      if (value == "-" && is_one_of(*option, kOutputs)) {
        return "- is no name for a file; results go to standard output without the option";
      }
      const std::string name = value.substr(0, value.find('='));
      if (!value.starts_with("-") || !command.get_option_no_throw(name)) return "";
      return name + " is an option, not a name; give one, or write ./" + name;
    });
  }
}

void refuse_empty_values(const CLI::App& app, int argc, const char* const* argv) {
  if (argc < 2) return;
  const auto found =
      app.get_subcommands([&](const CLI::App* sub) { return sub->get_name() == argv[1]; });
  if (found.empty()) return;
  const CLI::App* command = found.front();
  for (int i = 2; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--") return;
    if (!argument.starts_with("-")) continue;
    const size_t equals = argument.find('=');
    const std::string name(argument.substr(0, equals));
    const CLI::Option* option = command->get_option_no_throw(name);
    if (!option) continue;
    if (argument.starts_with("--") && equals + 1 == argument.size()) {
      throw usage_error("{}: nothing behind the =; give a value, or leave the option out", name);
    }
    if (option->get_delimiter() != ',') continue;
    if (equals != argument.npos) {
      check_list(name, argument.substr(equals + 1));
    } else if (i + 1 < argc) {
      check_list(name, argv[i + 1]);
    }
  }
}

void check_files(const CLI::App& command) {
  check_standard_input(command);
  std::vector<NamedPath> inputs, outputs;
  for (const CLI::Option* option : command.get_options()) {
    if (option->empty() || !is_path_type(option->get_type_name())) continue;
    if (is_one_of(*option, kParents)) continue;
    auto& list = is_one_of(*option, kOutputs) ? outputs : inputs;
    for (const std::string& path : option->results()) list.push_back(named(*option, path));
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    const auto& [option, path] = outputs[i];
    for (const NamedPath& input : inputs) {
      if (!replaces(path, input.path)) continue;
      throw usage_error("{} {}: would replace what {} reads; choose another file", option,
                        printable(path), input.option);
    }
    for (size_t j = 0; j < i; ++j) {
      if (outputs[j].option == option || !same_file(path, outputs[j].path)) continue;
      throw usage_error("{} {}: {} writes there too; choose another name", option, printable(path),
                        outputs[j].option);
    }
  }
}

}  // namespace sentinel::cli
