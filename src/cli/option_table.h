// What the commands' options are, read back from the parser: shell completions and the manual page
// are made from it, so that they cannot say anything else than --help.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace sentinel::cli {

// Whether an option of this type name takes a path.
inline bool is_path_type(const std::string& value) {
  return value == "FILE" || value == "FOLDER" || value == "MODEL";
}

struct OptionRow {
  std::vector<std::string> short_names, long_names;  // without dashes; long: snake_case alone
  std::string value;                                 // "FILE"; empty: a flag
  std::string text, default_value;
  bool takes_path() const { return is_path_type(value); }
};

struct CommandRow {
  std::string name, summary;  // name empty: sentinel itself
  std::vector<OptionRow> options;
};

// sentinel itself in front.
std::vector<CommandRow> option_table(const CLI::App& app);

// A script for "bash", "zsh" or "fish". Error (usage) for another shell.
std::string completion_script(const std::string& shell, const std::vector<CommandRow>& table);
// Section 1, in roff.
std::string man_page(const std::vector<CommandRow>& table);

}  // namespace sentinel::cli
