// Names of the options' values.
#include <array>

#include "base/error.h"
#include "model/model.h"

namespace sentinel {
namespace {

template <typename T, size_t N>
struct Names {
  const char* what;
  std::array<std::pair<const char*, T>, N> entries;

  const char* name(T value) const {
    for (const auto& [name, v] : entries) {
      if (v == value) return name;
    }
    return "unknown";
  }
  T parse(std::string_view text) const { return parse(text, what); }
  T parse(std::string_view text, const char* option) const {
    std::string choices;
    for (const auto& [name, v] : entries) {
      if (text == name) return v;
      choices += (choices.empty() ? "" : ", ") + std::string(name);
    }
    throw usage_error("{}: unknown value \"{}\"; choose one of {}", option, printable(text),
                      choices);
  }
};

constexpr Names<WeightType, kWeightTypes> kWeightNames{"weights",
                                                       {{{"f32", WeightType::f32},
                                                         {"bf16", WeightType::bf16},
                                                         {"int8", WeightType::int8},
                                                         {"int6", WeightType::int6},
                                                         {"int4", WeightType::int4}}}};
constexpr Names<KvType, 3> kKvTypes{
    "kv", {{{"f32", KvType::f32}, {"bf16", KvType::bf16}, {"int8", KvType::int8}}}};
constexpr Names<AgencyMode, 3> kAgencyModes{
    "agency",
    {{{"off", AgencyMode::off}, {"track", AgencyMode::track}, {"auto", AgencyMode::automatic}}}};

constexpr Names<KvReturn, 2> kKvReturns{"kv_return",
                                        {{{"exact", KvReturn::exact}, {"hole", KvReturn::hole}}}};

constexpr LevelPreset kPresets[kLevels] = {
    {WeightType::f32, WeightType::f32, KvType::f32, 1, false},
    {WeightType::f32, WeightType::f32, KvType::f32, 1, false},
    {WeightType::int8, WeightType::int8, KvType::bf16, 8, false},
    {WeightType::int4, WeightType::int6, KvType::bf16, 0, true},
};

}  // namespace

LevelPreset level_preset(int level) {
  if (level < 0 || level >= kLevels) {
    throw usage_error("optimization_level: {} does not exist; choose 0, 1, 2 or 3", level);
  }
  return kPresets[level];
}

double promised_growth_percent(int level) { return level == 2 ? 1 : level == 3 ? 4 : 0; }

void check_options(const ModelOptions& options) {
  const LevelPreset preset = level_preset(options.level);
  if (preset.closing_is_final && options.kv_return == KvReturn::hole) {
    throw usage_error(
        "kv_return: at level {} closed heads never return, hole would have no effect; choose level "
        "0, 1 or 2",
        options.level);
  }
  if (options.level != 0) return;
  const auto refuse = [](const char* option, const char* type) {
    throw usage_error(
        "{}: level 0 computes in f32, {} would have no effect; choose level 1, 2 or 3", option,
        type);
  };
  if (options.weights.value_or(WeightType::f32) != WeightType::f32) {
    refuse("weights", to_string(*options.weights));
  }
  if (options.lm_head.value_or(WeightType::f32) != WeightType::f32) {
    refuse("lm_head", to_string(*options.lm_head));
  }
  if (options.kv.value_or(KvType::f32) != KvType::f32) refuse("kv", to_string(*options.kv));
  if (options.protect_first) {
    throw usage_error(
        "protect_first: level 0 computes every position with the heads as they are; choose level "
        "1, 2 or 3");
  }
}

int tracking_interval(int level, std::optional<AgencyMode> mode) {
  constexpr int kAskedForByName = 8;  // as level 2, where the level itself would not track
  if (mode == AgencyMode::off) return 0;
  const int interval = level_preset(level).tracking_interval;
  return interval == 0 && mode ? kAskedForByName : interval;
}

const char* to_string(WeightType type) { return kWeightNames.name(type); }
const char* to_string(KvType type) { return kKvTypes.name(type); }
const char* to_string(AgencyMode mode) { return kAgencyModes.name(mode); }
const char* to_string(KvReturn kind) { return kKvReturns.name(kind); }
const char* kv_cache_name(const ModelInfo& info) {
  return info.kv_cache ? to_string(info.kv) : "none";
}
WeightType parse_weight_type(std::string_view name, const char* what) {
  return kWeightNames.parse(name, what);
}
KvType parse_kv_type(std::string_view name) { return kKvTypes.parse(name); }
AgencyMode parse_agency_mode(std::string_view name) { return kAgencyModes.parse(name); }
KvReturn parse_kv_return(std::string_view name) { return kKvReturns.parse(name); }

}  // namespace sentinel
