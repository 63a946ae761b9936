#include "cli/controller_arguments.h"

#include <filesystem>

#include "api/controller_text.h"
#include "app/controller/journal.h"
#include "base/error.h"
#include "base/files.h"

namespace sentinel::cli {
bool ControllerArguments::asked() const {
  const ControllerOptions plain;
  return !controller.goal.empty() || controller.tokens_per_second ||
         controller.max_perplexity_increase || !text_file.empty() || !journal.empty() ||
         controller.max_windows != plain.max_windows || controller.interval != plain.interval ||
         controller.margin != plain.margin || controller.max_heads_closed != plain.max_heads_closed;
}

void add_controller_options(CLI::App& command, ControllerArguments& a) {
  ControllerOptions& c = a.controller;
  add_option(command, "controller", c.goal,
             "close and open heads by what is measured: speed, no more than the target needs; "
             "quality, all that the perplexity allows (default: by the goals given)")
      ->type_name("GOAL");
  add_option(command, "target_tokens_per_second", c.tokens_per_second,
             "controller: decoding speed to hold")
      ->type_name("X");
  add_option(command, "max_perplexity_increase", c.max_perplexity_increase,
             "controller: percent that its moves may cost on --controller_text")
      ->type_name("Q");
  add_option(command, "controller_text", a.text_file,
             "controller: UTF-8 text that is scored before the first token; - for standard input")
      ->type_name("FILE");
  add_option(command, "controller_windows", c.max_windows,
             "controller: windows of that text; 0: all")
      ->type_name("N")
      ->capture_default_str();
  add_option(command, "controller_interval", c.interval,
             "controller: tokens from one decision to the next")
      ->type_name("N")
      ->capture_default_str();
  add_option(command, "controller_margin", c.margin,
             "controller: heads open above the target by more than this share")
      ->type_name("M")
      ->capture_default_str();
  add_option(command, "max_heads_closed", c.max_heads_closed,
             "controller: percent of all heads at most")
      ->type_name("P")
      ->capture_default_str();
  add_option(command, "controller_journal", a.journal,
             "controller: write every move and its reason, one JSON object a line")
      ->type_name("FILE");
}

void read_controller(ControllerArguments& a, const std::atomic<bool>* cancel) {
  if (!a.asked()) return;
  if (!a.text_file.empty()) {
    a.controller.text = read_text(a.text_file, cancel);
    if (a.controller.text.empty()) {
      throw bad_input("{}: it is empty; give a text to score", text_name(a.text_file));
    }
  }
  const Controller checks(a.controller);
  check_output_file(a.journal, "--controller_journal");
}

void write_journal(const ControllerArguments& a, const Steering& steering) {
  if (!a.journal.empty()) write_file_atomic(a.journal, journal_lines(steering.report()));
}

std::unique_ptr<Steering> open_controller(const ControllerArguments& a, const OpenedModel& opened) {
  if (!a.asked()) return nullptr;
  return std::make_unique<Steering>(*opened.model, a.controller,
                                    text_measure(*opened.model, *opened.tokenizer, a.controller));
}

}  // namespace sentinel::cli
