// The options of `generate` that set a controller.
#pragma once

#include <memory>
#include <optional>

#include "app/controller/steering.h"
#include "cli/options.h"

namespace sentinel::cli {

struct ControllerArguments {
  ControllerOptions controller;
  std::string text_file, journal;
  bool asked() const;  // whether any of them was given
};
void add_controller_options(CLI::App& command, ControllerArguments& arguments);
// Reads the text and checks everything that needs no model. Error (usage, bad_input).
void read_controller(ControllerArguments& arguments, const std::atomic<bool>* cancel);
// Null unless asked for.
std::unique_ptr<Steering> open_controller(const ControllerArguments& arguments,
                                          const OpenedModel& opened);

// The journal, whole, if a file was named.
void write_journal(const ControllerArguments& arguments, const Steering& steering);

}  // namespace sentinel::cli
