#include "cli/option_table.h"

namespace sentinel::cli {
namespace {

OptionRow option_row(const CLI::Option& option) {
  OptionRow row;
  row.short_names = option.get_snames();
  for (const std::string& name : option.get_lnames()) {
    if (name.find('-') == std::string::npos) row.long_names.push_back(name);
  }
  if (option.get_type_size() != 0) row.value = option.get_type_name();
  row.text = option.get_description();
  row.default_value = option.get_default_str();
  return row;
}

CommandRow command_row(const CLI::App& app, const std::string& name) {
  CommandRow row{name, app.get_description(), {}};
  for (const CLI::Option* option : app.get_options()) {
    if (option->nonpositional()) row.options.push_back(option_row(*option));
  }
  return row;
}

}  // namespace

std::vector<CommandRow> option_table(const CLI::App& app) {
  std::vector<CommandRow> table = {command_row(app, "")};
  for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
    table.push_back(command_row(*command, command->get_name()));
  }
  return table;
}

}  // namespace sentinel::cli
