#include "cli/options.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "cli/progress.h"

namespace sentinel::cli {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
  return parts;
}

template <typename T = int>
std::optional<T> parse_int(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// Shows "--max_new_tokens", hides its twin "--max-new-tokens", and puts the default behind the
// description.
class PlainHelp : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override {
    if (is_positional) return CLI::Formatter::make_option_name(option, is_positional);
    std::string text;
    const auto append = [&](const std::string& name) { text += (text.empty() ? "" : ", ") + name; };
    for (const auto& name : option->get_snames()) append("-" + name);
    for (const auto& name : option->get_lnames()) {
      if (name.find('-') == std::string::npos) append("--" + name);
    }
    return text;
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_size() == 0 ? "" : " " + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    const std::string& value = option->get_default_str();
    return option->get_description() + (value.empty() ? "" : " (default: " + value + ")");
  }
};

}  // namespace

std::string check_unsigned(const std::string& text) {
  if (parse_int<uint64_t>(text)) return "";
  return fmt::format("{}: give a whole number from 0 to {}", printable(text), UINT64_MAX);
}

std::string both_spellings(const std::string& names) {
  std::string out;
  for (const auto& name : split(names, ',')) {
    if (!out.empty()) out += ',';
    if (name.front() == '-') {
      out += name;
      continue;
    }
    out += "--" + name;
    std::string kebab = name;
    std::replace(kebab.begin(), kebab.end(), '_', '-');
    if (kebab != name) out += ",--" + kebab;
  }
  return out;
}

CLI::Option* add_flag(CLI::App& command, const std::string& names, bool& value,
                      const std::string& help) {
  return command.add_flag(both_spellings(names), value, help);
}

void add_model_name(CLI::App& command, std::string& model) {
  add_option(command, "-m,model,model_name", model,
             "model folder, file in it, or hub name in the local cache "
             "(default: the bundled sentinel-mini)")
      ->type_name("MODEL");
}

void add_model_options(CLI::App& command, ModelArguments& arguments, bool with_threads) {
  add_model_name(command, arguments.model);
  add_option(command, "optimization_level,level", arguments.level,
             "0 to 3 (default: $OPTIMIZATION_LEVEL, else 1; see sentinel info --levels)")
      ->type_name("N");
  if (with_threads) {
    add_option(command, "-t,threads", arguments.threads,
               "worker threads (default: all cores; level 0 has one)")
        ->type_name("N");
  }
  add_option(command, "isa", arguments.isa,
             "scalar, avx2, avx512 or amx (default: $SENTINEL_ISA, else the best)")
      ->type_name("NAME");
  add_option(command, "weights", arguments.weights,
             "f32, bf16, int8, int6 or int4 (default: by the level)")
      ->type_name("TYPE");
  add_option(command, "lm_head", arguments.lm_head, "the same for the output matrix alone")
      ->type_name("TYPE");
  add_option(command, "kv", arguments.kv, "KV cache: f32, bf16 or int8 (default: by the level)")
      ->type_name("TYPE");
  add_option(command, "agency", arguments.agency, "head tracking: off, track or auto")
      ->type_name("MODE")
      ->default_str("track, at level 3 off");
}

ModelOptions model_options(const ModelArguments& arguments) {
  if (arguments.threads && (*arguments.threads < 1 || *arguments.threads > 1024)) {
    throw usage_error("--threads: {} is out of range; give a number from 1 to 1024",
                      *arguments.threads);
  }
  const ModelOptions options = sentinel::model_options(arguments, "--optimization_level");
  check_options(options);
  const bool other_isa = arguments.isa && *arguments.isa != "scalar";
  if (options.level == 0 && (options.threads > 1 || other_isa)) say_level_0();
  return options;
}

void say_level_0() {
  say("sentinel: level 0 is plain code on one thread: --threads and --isa change nothing there\n");
}

std::shared_ptr<const Checkpoint> open_checkpoint(const std::string& model) {
  return Checkpoint::open(model.empty() ? bundled_file("models/sentinel-mini").string() : model);
}

std::vector<HeadId> parse_heads(const std::string& text) {
  std::vector<HeadId> heads;
  for (const auto& item : split(text, ',')) {
    const auto colon = item.find(':');
    const auto layer = parse_int(std::string_view(item).substr(0, colon));
    const auto head = colon == std::string::npos
                          ? std::nullopt
                          : parse_int(std::string_view(item).substr(colon + 1));
    if (!layer || !head) {
      throw usage_error("--close_heads: \"{}\" is not a head; give layer:head pairs as in 0:1,3:7",
                        printable(item));
    }
    heads.push_back({*layer, *head});
  }
  return heads;
}

void close_heads(Model& model, const std::vector<HeadId>& heads) {
  for (const HeadId id : heads) model.heads().set_gate(id, 0);
}

std::shared_ptr<CLI::Formatter> help_formatter() {
  auto formatter = std::make_shared<PlainHelp>();
  formatter->column_width(36);
  return formatter;
}

}  // namespace sentinel::cli
