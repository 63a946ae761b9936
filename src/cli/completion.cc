#include <fmt/format.h>

#include "base/error.h"
#include "cli/option_table.h"

namespace sentinel::cli {
namespace {

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
  return text;
}

std::string words(const CommandRow& command) {
  std::string out;
  const auto append = [&](const std::string& word) { out += (out.empty() ? "" : " ") + word; };
  for (const OptionRow& option : command.options) {
    for (const std::string& name : option.short_names) append("-" + name);
    for (const std::string& name : option.long_names) append("--" + name);
  }
  return out;
}

std::string bash(const std::vector<CommandRow>& table) {
  std::string cases, commands;
  for (const CommandRow& command : table) {
    if (command.name.empty()) continue;
    commands += command.name + " ";
    cases += fmt::format("    {}) words='{}' ;;\n", command.name, words(command));
  }
  // Anything that is not an option is left to the shell: file names.
  return fmt::format(
      "# bash completion of sentinel; load it with: source <(sentinel --completion bash)\n"
      "_sentinel() {{\n"
      "  local words=\n"
      "  case ${{COMP_WORDS[1]}} in\n"
      "{}"
      "  esac\n"
      "  if [[ $COMP_CWORD -eq 1 ]]; then\n"
      "    words='{}{}'\n"
      "  elif [[ ${{COMP_WORDS[COMP_CWORD]}} != -* ]]; then\n"
      "    words=\n"
      "  fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
      "}}\n"
      "complete -o default -F _sentinel sentinel\n",
      cases, commands, words(table.front()));
}

// Specifications for _arguments, one a name. Every option may come again: the last one counts.
std::string zsh_options(const CommandRow& command, const std::string& indent) {
  std::string out;
  for (const OptionRow& option : command.options) {
    std::string text = option.text;
    for (const char* mark : {"[", "]", ":", "'"}) text = replaced(text, mark, " ");
    const std::string value =
        option.value.empty() ? ""
                             : ":" + option.value + ":" + (option.takes_path() ? "_files" : "");
    for (const std::string& name : option.short_names) {
      out += fmt::format("{}'*-{}[{}]{}' \\\n", indent, name, text, value);
    }
    for (const std::string& name : option.long_names) {
      out += fmt::format("{}'*--{}{}[{}]{}' \\\n", indent, name, value.empty() ? "" : "=", text,
                         value);
    }
  }
  return out;
}

std::string zsh(const std::vector<CommandRow>& table) {
  std::string commands, cases;
  for (const CommandRow& command : table) {
    if (command.name.empty()) continue;
    commands += fmt::format("    '{}:{}'\n", command.name,
                            replaced(replaced(command.summary, "'", ""), ":", ""));
    cases += fmt::format("    {})\n      _arguments \\\n{}        '*:file:_files' ;;\n",
                         command.name, zsh_options(command, "        "));
  }
  return fmt::format(
      "#compdef sentinel\n"
      "# zsh completion of sentinel: sentinel --completion zsh > DIRECTORY_OF_FPATH/_sentinel\n"
      "_sentinel() {{\n"
      "  local -a commands=(\n{}  )\n"
      "  if (( CURRENT == 2 )) && [[ $words[CURRENT] != -* ]]; then\n"
      "    _describe command commands\n"
      "    return\n"
      "  fi\n"
      "  case $words[2] in\n"
      "{}"
      "    *)\n      _arguments \\\n{}        '*:file:_files' ;;\n"
      "  esac\n"
      "}}\n"
      "if [[ $funcstack[1] == _sentinel ]]; then  # autoloaded\n"
      "  _sentinel \"$@\"\n"
      "else\n"
      "  compdef _sentinel sentinel\n"
      "fi\n",
      commands, cases, zsh_options(table.front(), "        "));
}

std::string fish(const std::vector<CommandRow>& table) {
  const auto quoted = [](const std::string& text) {
    return "'" + replaced(replaced(text, "\\", "\\\\"), "'", "\\'") + "'";
  };
  std::string out =
      "# fish completion of sentinel: sentinel --completion fish > "
      "~/.config/fish/completions/sentinel.fish\n";
  for (const CommandRow& command : table) {
    const std::string condition = command.name.empty()
                                      ? "__fish_use_subcommand"
                                      : "__fish_seen_subcommand_from " + command.name;
    if (!command.name.empty()) {
      out += fmt::format("complete -c sentinel -n __fish_use_subcommand -f -a {} -d {}\n",
                         command.name, quoted(command.summary));
    }
    for (const OptionRow& option : command.options) {
      out += fmt::format("complete -c sentinel -n {}", quoted(condition));
      for (const std::string& name : option.short_names) out += " -s " + name;
      for (const std::string& name : option.long_names) out += " -l " + name;
      if (!option.value.empty()) out += option.takes_path() ? " -r -F" : " -x";
      out += " -d " + quoted(option.text) + "\n";
    }
  }
  return out;
}

}  // namespace

std::string completion_script(const std::string& shell, const std::vector<CommandRow>& table) {
  if (shell == "bash") return bash(table);
  if (shell == "zsh") return zsh(table);
  if (shell == "fish") return fish(table);
  throw usage_error("--completion: no script for \"{}\"; choose bash, zsh or fish",
                    printable(shell));
}

}  // namespace sentinel::cli
