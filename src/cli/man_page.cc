#include <fmt/format.h>

#include <algorithm>

#include "base/build_info.h"
#include "cli/option_table.h"

namespace sentinel::cli {
namespace {

// Text for roff: no line is taken for a request, no character for an escape.
std::string escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string upper(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return text;
}

std::string option_text(const OptionRow& option) {
  std::string names;
  const auto append = [&](const std::string& name) {
    names += (names.empty() ? "\\fB" : ", \\fB") + escaped(name) + "\\fR";
  };
  for (const std::string& name : option.short_names) append("-" + name);
  for (const std::string& name : option.long_names) append("--" + name);
  if (!option.value.empty()) names += " \\fI" + escaped(option.value) + "\\fR";
  std::string text = option.text;
  if (!option.default_value.empty()) text += " (default: " + option.default_value + ")";
  return fmt::format(".TP\n{}\n{}\n", names, escaped(text));
}

}  // namespace

std::string man_page(const std::vector<CommandRow>& table) {
  std::string out = fmt::format(
      ".TH SENTINEL 1 \"\" \"sentinel {}\" \"User Commands\"\n"
      ".SH NAME\nsentinel \\- make pretrained transformers smaller and faster, and say what it "
      "cost\n"
      ".SH SYNOPSIS\n.B sentinel\n.I COMMAND\n[\\fIOPTIONS\\fR]\n"
      ".SH DESCRIPTION\n{}\n.PP\n"
      "Long options are accepted with underscores, as shown, and with dashes. Results go to "
      "standard output, progress to standard error.\n",
      build_version(), escaped(table.front().summary));
  out += ".SH OPTIONS\n";
  for (const OptionRow& option : table.front().options) out += option_text(option);
  out += ".SH COMMANDS\n";
  for (const CommandRow& command : table) {
    if (command.name.empty()) continue;
    out += fmt::format(".TP\n.B {}\n{}\n", escaped(command.name), escaped(command.summary));
  }
  for (const CommandRow& command : table) {
    if (command.name.empty()) continue;
    out += fmt::format(".SH {}\n", escaped(upper("options of " + command.name)));
    for (const OptionRow& option : command.options) out += option_text(option);
  }
  out +=
      ".SH EXIT STATUS\n"
      ".TP\n0\nfine\n.TP\n1\nfailed while running\n.TP\n2\nbad usage or bad input\n"
      ".TP\n130\ninterrupted; what was measured is kept\n"
      ".SH ENVIRONMENT\n"
      ".TP\n.B OPTIMIZATION_LEVEL\nthe level where no option names one\n"
      ".TP\n.B SENTINEL_ISA\nthe instruction set where no option names one\n"
      ".TP\n.B SENTINEL_DATA\nthe folder of the bundled models and texts\n"
      ".TP\n.B HF_HUB_CACHE\\fR, \\fBHF_HOME\nwhere hub names are looked up\n";
  return out;
}

}  // namespace sentinel::cli
