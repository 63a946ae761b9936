#include "app/report/operations_json.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "app/report/text_table.h"
#include "base/json_numbers.h"

namespace sentinel {
namespace {

using nlohmann::json;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

double value_of(const json& object, const char* key) {
  return object.contains(key) && object[key].is_number() ? object[key].get<double>() : kNaN;
}

double sum_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}
template <typename T>
double sum_of(const std::map<std::string, T>& values) {
  double sum = 0;
  for (const auto& [name, value] : values) sum += static_cast<double>(value);
  return sum;
}

// Every component, in percent of them all.
template <typename T>
json percentages(const std::map<std::string, T>& values) {
  const double sum = sum_of(values);
  json out = json::object();
  for (const auto& [name, value] : values) {
    out[name] = sum > 0 ? 100 * static_cast<double>(value) / sum : 0;
  }
  return out;
}

std::map<std::string, double> totals_of(const OperationProfile& profile) {
  std::map<std::string, double> totals;
  for (const auto& [name, times] : profile.component_ms) totals[name] = sum_of(times);
  return totals;
}

}  // namespace

json operations_json(const OperationProfile& profile, bool details) {
  const auto totals = totals_of(profile);
  json averages = json::object();
  for (const auto& [name, total] : totals) averages[name] = total / profile.generations;
  json out = {
      {"component_times", profile.component_ms},
      {"avg_times", averages},
      {"total_times", totals},
      {"percentages", percentages(totals)},
      {"phases",
       {{"prefill",
         {{"time_ms", profile.prefill_ms}, {"percentages", percentages(profile.prefill_ms)}}},
        {"decode", {{"step_ms", profile.step_ms}, {"percentages", percentages(profile.step_ms)}}}}},
      {"bytes", profile.component_bytes},
      {"bytes_percentages", percentages(profile.component_bytes)},
      {"wait_percent", number(profile.wait_percent)},
      {"recorded_generations", profile.generations},
      {"recorded_generation_ms", number(profile.generation_ms)},
      {"plain_generation_ms", number(profile.plain_ms)},
      {"overhead_percent", number(overhead_percent(profile))},
      {"dropped_events", profile.dropped_events}};
  if (!details) return out;
  out["operations"] = json::array();
  for (const auto& entry : profile.operations) {
    out["operations"].push_back({{"layer", entry.layer < 0 ? json(nullptr) : json(entry.layer)},
                                 {"operation", entry.operation},
                                 {"prefill_ms", entry.prefill_ms},
                                 {"step_ms", entry.step_ms},
                                 {"wait_ms", entry.wait_ms}});
  }
  return out;
}

std::optional<OperationProfile> read_operations(const json& object) {
  if (!object.contains("component_times")) return std::nullopt;
  OperationProfile profile;
  profile.component_ms = object.at("component_times").get<decltype(profile.component_ms)>();
  profile.prefill_ms =
      object.at("phases").at("prefill").at("time_ms").get<decltype(profile.prefill_ms)>();
  profile.step_ms = object.at("phases").at("decode").at("step_ms").get<decltype(profile.step_ms)>();
  for (const auto& [name, bytes] : object.at("bytes").items()) {
    profile.component_bytes[name] = whole_number<int64_t>(bytes);
  }
  profile.wait_percent = value_of(object, "wait_percent");
  profile.generations = whole_number<int>(object.at("recorded_generations"));
  profile.generation_ms = value_of(object, "recorded_generation_ms");
  profile.plain_ms = value_of(object, "plain_generation_ms");
  profile.dropped_events = whole_number<int64_t>(object.at("dropped_events"));
  for (const json& entry : object.value("operations", json::array())) {
    profile.operations.push_back(
        {entry.at("layer").is_null() ? -1 : whole_number<int>(entry.at("layer")),
         entry.at("operation").get<std::string>(), entry.at("prefill_ms").get<double>(),
         entry.at("step_ms").get<double>(), entry.at("wait_ms").get<double>()});
  }
  return profile;
}

json model_stats_json(const OperationProfile& profile) {
  const auto totals = totals_of(profile);
  const auto seconds = [&](const char* name) {
    const auto it = totals.find(name);
    return it == totals.end() ? 0.0 : it->second / 1e3 / profile.generations;
  };
  return {{"attention_time", seconds("attention")},
          {"baseline_time", seconds("baseline_integration")},
          {"ffn_time", seconds("ffn")},
          {"total_time", sum_of(totals) / 1e3 / profile.generations}};
}

std::string operations_text(const OperationProfile& profile) {
  const double step = sum_of(profile.step_ms);
  TextTable table{{"Layer", "Operation", "Prefill ms", "Step us", "Share %", "Wait us"}, {}};
  for (const auto& entry : profile.operations) {
    table.rows.push_back({entry.layer < 0 ? "-" : std::to_string(entry.layer), entry.operation,
                          format_number(entry.prefill_ms, 3), format_number(entry.step_ms * 1e3, 1),
                          format_number(step > 0 ? 100 * entry.step_ms / step : kNaN, 1),
                          format_number(entry.wait_ms * 1e3, 1)});
  }
  return table.plain();
}

double time_percent(const OperationProfile& profile, const std::string& component) {
  const auto totals = totals_of(profile);
  const auto it = totals.find(component);
  const double sum = sum_of(totals);
  return it == totals.end() || !(sum > 0) ? kNaN : 100 * it->second / sum;
}

double bytes_percent(const OperationProfile& profile, const std::string& component) {
  const auto it = profile.component_bytes.find(component);
  const double sum = sum_of(profile.component_bytes);
  return it == profile.component_bytes.end() || !(sum > 0)
             ? kNaN
             : 100 * static_cast<double>(it->second) / sum;
}

double overhead_percent(const OperationProfile& profile) {
  if (!(profile.plain_ms > 0) || !(profile.generation_ms > 0)) return kNaN;
  return 100 * (profile.generation_ms / profile.plain_ms - 1);
}

}  // namespace sentinel
