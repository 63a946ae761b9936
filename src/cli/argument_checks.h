// What is checked of a command line beside each option's own value.
#pragma once

#include <CLI/CLI.hpp>

namespace sentinel::cli {

// Refuses empty names of files and folders, and other options in their place: an option without a
// value, as an unset variable leaves it, would run on a default or swallow what follows.
void check_paths(CLI::App& command);

// Before parsing. Error (usage) for `--option=` with nothing behind it, for which the parser would
// take the next argument, and for empty items in lists, which it would leave out.
void refuse_empty_values(const CLI::App& app, int argc, const char* const* argv);

// After parsing. Error (usage) where a file to be written is also read, is one of a model that is
// read, or is to be written by two options; and where two texts are to come from standard input.
void check_files(const CLI::App& command);

}  // namespace sentinel::cli
