#include "app/controller/journal.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

namespace sentinel {
namespace {

using nlohmann::ordered_json;

ordered_json move_json(const ControllerMove& move) {
  return {{"token", move.token},
          {"layer", move.head.layer},
          {"head", move.head.head},
          {"gate_before", move.gate_before},
          {"gate_after", move.gate_after},
          {"signal", {{move.signal, move.value}}},
          {"goal", move.goal},
          {"reason", move.reason}};
}

// 0 stands for what was not measured.
nlohmann::json measured(double value) {
  return value > 0 ? nlohmann::json(value) : nlohmann::json(nullptr);
}

const char* goal_outcome(const ControllerReport& report) {
  if (!report.goal_met) return "not judged (the text ended before the first measurement)";
  return *report.goal_met ? "met" : "not met";
}

}  // namespace

nlohmann::json to_json(const ControllerReport& report) {
  nlohmann::json moves = nlohmann::json::array();
  for (const ControllerMove& move : report.moves) moves.emplace_back(move_json(move));
  return {
      {"goal", report.goal},
      {"goal_met", report.goal_met ? nlohmann::json(*report.goal_met) : nlohmann::json(nullptr)},
      {"heads_closed", report.heads_closed},
      {"tokens_per_second", measured(report.tokens_per_second)},
      {"perplexity_before", measured(report.perplexity_before)},
      {"perplexity_after", measured(report.perplexity_after)},
      {"tokens_scored", report.tokens_scored},
      {"evaluations", report.evaluations},
      {"seconds", report.seconds},
      {"moves", moves}};
}

std::string journal_lines(const ControllerReport& report) {
  std::string lines;
  for (const ControllerMove& move : report.moves) lines += move_json(move).dump() + "\n";
  return lines;
}

std::string to_text(const ControllerReport& report) {
  std::string text =
      fmt::format("controller: goal {} {}, {} heads closed, {} journal entries\n", report.goal,
                  goal_outcome(report), report.heads_closed, report.moves.size());
  if (report.tokens_per_second > 0) {
    text += fmt::format("  last interval {:.1f} tokens/s\n", report.tokens_per_second);
  }
  if (report.perplexity_after > 0) {
    text += fmt::format(
        "  perplexity {:.3f} before, {:.3f} with these heads closed ({} tokens, {:.1f} s)\n",
        report.perplexity_before, report.perplexity_after, report.tokens_scored, report.seconds);
  }
  return text;
}

}  // namespace sentinel
