#include "app/generate/agency_script.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {

constexpr size_t kMaxScript = size_t{1} << 24;
constexpr const char* kSyntax =
    "write TOKEN LAYER HEAD and a state, \"gate G\" or \"consent on|off\"";

std::vector<std::string_view> split_words(std::string_view line) {
  line = line.substr(0, line.find('#'));
  constexpr std::string_view kBetween = " \t\r,=";
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = line.find_first_not_of(kBetween);
    if (begin == std::string_view::npos) return words;
    line.remove_prefix(begin);
    const size_t end = std::min(line.find_first_of(kBetween), line.size());
    words.push_back(line.substr(0, end));
    line.remove_prefix(end);
  }
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> on_or_off(std::string_view text) {
  if (text == "on") return true;
  if (text == "off") return false;
  return std::nullopt;
}

class LineParser {
 public:
  LineParser(const std::string& name, int line, std::vector<std::string_view> words)
      : name_(name), line_(line), words_(std::move(words)) {}

  ScriptEntry parse() const {
    if (words_.size() < 4) fail("less than four words");
    ScriptEntry entry;
    entry.line = line_;
    entry.token = index(0, "token");
    entry.head = {index(1, "layer"), index(2, "head")};
    const std::string_view kind = words_[3];
    if (kind == "gate") {
      const auto gate = number<float>(value());
      if (!gate || !(*gate >= 0 && *gate <= 1)) fail("gate is not a number from 0 to 1");
      entry.change = SetGate{*gate};
    } else if (kind == "consent") {
      const auto consent = on_or_off(value());
      if (!consent) fail("consent is neither on nor off");
      entry.change = SetConsent{*consent};
    } else {
      entry.change = state(kind == "state" ? value() : last(3));
    }
    return entry;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw bad_input("{} line {}: {}; {}", name_, line_, what, kSyntax);
  }
  std::string_view last(size_t at) const {
    if (words_.size() != at + 1) fail(fmt::format("{} words do not fit", words_.size()));
    return words_[at];
  }
  std::string_view value() const { return last(4); }
  int index(size_t at, const char* what) const {
    const auto value = number<int>(words_[at]);
    if (!value || *value < 0) {
      fail(fmt::format("{} \"{}\" is not a number of 0 or more", what, printable(words_[at], 40)));
    }
    return *value;
  }
  HeadState state(std::string_view name) const {
    try {
      return parse_head_state(std::string(name));
    } catch (const Error& error) {
      fail(error.what());
    }
  }

  const std::string& name_;
  int line_;
  std::vector<std::string_view> words_;
};

bool apply(const ScriptEntry& entry, HeadTable& heads) {
  if (const auto* state = std::get_if<HeadState>(&entry.change)) {
    return heads.set_state(entry.head, *state);
  }
  if (const auto* gate = std::get_if<SetGate>(&entry.change)) {
    return heads.set_gate(entry.head, gate->gate);
  }
  heads.set_consent(entry.head, std::get<SetConsent>(entry.change).consent);
  return true;
}

}  // namespace

std::vector<ScriptEntry> parse_script(std::string_view text, const std::string& name) {
  std::vector<ScriptEntry> entries;
  for (int line = 1; !text.empty(); ++line) {
    const size_t end = std::min(text.find('\n'), text.size());
    auto words = split_words(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!words.empty()) entries.push_back(LineParser(name, line, std::move(words)).parse());
  }
  std::stable_sort(entries.begin(), entries.end(),
                   [](const auto& a, const auto& b) { return a.token < b.token; });
  return entries;
}

std::vector<ScriptEntry> read_script(const std::filesystem::path& path) {
  const std::string name = printable(path.string());
  auto entries = parse_script(read_file(path, kMaxScript), name);
  if (entries.empty()) throw bad_input("{}: no change in it; {}", name, kSyntax);
  return entries;
}

ScriptPlayer::ScriptPlayer(std::vector<ScriptEntry> entries, HeadTable& heads)
    : entries_(std::move(entries)), heads_(heads) {
  HeadTable trial = heads_;  // what cannot be done is said before the first token
  for (const ScriptEntry& entry : entries_) {
    try {
      apply(entry, trial);
    } catch (const Error& error) {
      throw usage_error("agency_script line {}: {}", entry.line, error.what());
    }
  }
  events_.reserve(entries_.size());
}

void ScriptPlayer::play(int token) {
  while (pending() > 0 && entries_[events_.size()].token <= token) {
    const ScriptEntry& entry = entries_[events_.size()];
    const double start = now_s();
    bool accepted = false;
    try {
      accepted = apply(entry, heads_);
    } catch (const Error& error) {
      throw usage_error("agency_script line {}: {}", entry.line, error.what());
    }
    events_.push_back({entry, accepted, (now_s() - start) * 1e6});
  }
}

std::string ScriptPlayer::not_reached() const {
  if (pending() == 0) return "";
  const ScriptEntry& first = entries_[events_.size()];
  const std::string more = pending() > 1 ? fmt::format(" (and {} more)", pending() - 1) : "";
  return fmt::format("agency_script line {}: token {} was never reached{}", first.line, first.token,
                     more);
}

std::string to_string(const ScriptEntry& entry) {
  std::string change;
  if (const auto* state = std::get_if<HeadState>(&entry.change)) {
    change = to_string(*state);
  } else if (const auto* gate = std::get_if<SetGate>(&entry.change)) {
    change = fmt::format("gate {}", gate->gate);
  } else {
    change = std::get<SetConsent>(entry.change).consent ? "consent on" : "consent off";
  }
  return fmt::format("{} {} {} {}", entry.token, entry.head.layer, entry.head.head, change);
}

}  // namespace sentinel
