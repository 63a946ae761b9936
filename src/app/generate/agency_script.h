// A list of changes to heads, each at a token: effects of switching can be replayed.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/agency/head_table.h"

namespace sentinel {

struct SetGate {
  float gate;
};
struct SetConsent {
  bool consent;
};

struct ScriptEntry {
  int token = 0;  // new token that the change is the first to touch; 0: before the prompt
  HeadId head;
  std::variant<HeadState, SetGate, SetConsent> change;
  int line = 0;  // in the file
};

// What became of an entry.
struct ScriptEvent {
  ScriptEntry entry;
  bool accepted = false;  // false: refused for want of consent, and logged as a violation
  double microseconds = 0;
};

// Lines "TOKEN LAYER HEAD CHANGE", parts set apart by blanks or commas; CHANGE is a state (active,
// overloaded, misaligned, withdrawn), "gate G" with G in 0..1, or "consent on|off". Empty lines and
// what follows # mean nothing. Sorted by token, equal tokens in the file's order.
// Error (bad_input) naming file and line; read_script: also for a file without a change.
std::vector<ScriptEntry> parse_script(std::string_view text, const std::string& name);
std::vector<ScriptEntry> read_script(const std::filesystem::path& path);

// Plays a script against a head table while text is generated.
class ScriptPlayer {
 public:
  // Error (usage) naming the line whose head does not exist.
  ScriptPlayer(std::vector<ScriptEntry> entries, HeadTable& heads);
  // Makes every change up to this token that has not been made. Error (usage): opens a removed
  // head.
  void play(int token);
  const std::vector<ScriptEvent>& events() const { return events_; }
  size_t pending() const { return entries_.size() - events_.size(); }
  // Names the first change that was not made and counts the others; empty: all were.
  std::string not_reached() const;

 private:
  std::vector<ScriptEntry> entries_;
  HeadTable& heads_;
  std::vector<ScriptEvent> events_;
};

std::string to_string(const ScriptEntry& entry);  // "20 0 3 withdrawn"

}  // namespace sentinel
