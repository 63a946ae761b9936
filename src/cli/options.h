// Helpers to register options under both spellings, and the options that commands share.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "api/model_options.h"
#include "model/model.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel::cli {

// "max_new_tokens" with extra names "-n" -> "-n,--max_new_tokens,--max-new-tokens".
// `names`: comma-separated; entries without a leading dash are long names in snake_case.
std::string both_spellings(const std::string& names);

// What is wrong with the text of a whole number from 0 on; empty: nothing. The parser would take -1
// and numbers of more than 64 bits for the largest one.
std::string check_unsigned(const std::string& text);

template <typename T>
CLI::Option* add_option(CLI::App& command, const std::string& names, T& value,
                        const std::string& help) {
  CLI::Option* option = command.add_option(both_spellings(names), value, help);
  if constexpr (std::is_same_v<T, uint64_t> || std::is_same_v<T, std::optional<uint64_t>>) {
    option->check(check_unsigned);
  }
  // Given twice the last one counts, so that a script's own settings can be overridden behind them.
  if (option->get_items_expected_max() == 1) option->take_last();
  return option;
}
CLI::Option* add_flag(CLI::App& command, const std::string& names, bool& value,
                      const std::string& help);

// -m, --optimization_level, --threads, --isa, --weights, --lm_head, --kv, --agency: the options
// of every command that runs a model.
struct ModelArguments : ModelRequest {
  std::string model;  // empty: the bundled sentinel-mini
};
void add_model_options(CLI::App& command, ModelArguments& arguments, bool with_threads = true);
void add_model_name(CLI::App& command, std::string& model);

// The checked options; the level from the argument, else OPTIMIZATION_LEVEL, else 1. Error (usage).
ModelOptions model_options(const ModelArguments& arguments);
// A remark on what level 0 does without.
void say_level_0();
// The model named, else the bundled one. Error (bad_input).
std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& model);

struct OpenedModel {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  std::unique_ptr<Model> model;
};

// "0:1,3:7" -> {{0,1},{3,7}}. Error (usage). Empty text: no heads.
std::vector<HeadId> parse_heads(const std::string& text);
// Sets the gate of each head to 0. Error (usage) for an unknown head.
void close_heads(Model& model, const std::vector<HeadId>& heads);

// The help formatter: shows one spelling of every option.
std::shared_ptr<CLI::Formatter> help_formatter();

}  // namespace sentinel::cli
