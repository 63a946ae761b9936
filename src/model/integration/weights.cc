#include "model/integration/weights.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/mapped_file.h"
#include "model/checkpoint/safetensors.h"
#include "model/weight_views.h"

namespace sentinel {
namespace {

constexpr const char* kSets[] = {"unet", "mix", "both"};
constexpr const char* kPoints[] = {"baseline", "skip"};
constexpr const char* kParts[] = {"keep", "take", "shift"};

IntegrationSet& set_of(IntegrationWeights& weights, int set) {
  return set == 0 ? weights.unet : set == 1 ? weights.mix : weights.both;
}

FeatureMix& point_of(IntegrationLayer& layer, int point) {
  return point == 0 ? layer.baseline : layer.skip;
}

std::vector<float>& part_of(FeatureMix& mix, int part) {
  return part == 0 ? mix.keep : part == 1 ? mix.take : mix.shift;
}

struct Place {
  int set = -1, layer = -1, point = -1, part = -1;
};

template <size_t N>
int index_of(std::string_view word, const char* const (&words)[N]) {
  for (size_t i = 0; i < N; ++i) {
    if (word == words[i]) return static_cast<int>(i);
  }
  return -1;
}

// "both.h.5.skip.keep"
Place parse_name(std::string_view name) {
  std::vector<std::string_view> words;
  while (true) {
    const size_t end = std::min(name.find('.'), name.size());
    words.push_back(name.substr(0, end));
    if (end == name.size() || words.size() > 5) break;
    name.remove_prefix(end + 1);
  }
  Place place;
  if (words.size() != 5 || words[1] != "h") return place;
  int layer = -1;
  const auto [end, error] =
      std::from_chars(words[2].data(), words[2].data() + words[2].size(), layer);
  const bool plain = error == std::errc() && end == words[2].data() + words[2].size() &&
                     std::to_string(layer) == words[2];
  if (!plain) return place;
  return {index_of(words[0], kSets), layer, index_of(words[3], kPoints),
          index_of(words[4], kParts)};
}

// Whether a set may have that point in that layer at all.
bool is_possible(const Place& place, int n_layers) {
  if (place.set < 0 || place.point < 0 || place.part < 0) return false;
  if (place.layer < n_layers / 2 || place.layer >= n_layers) return false;
  const bool skip = place.point == 1;
  if (skip && skip_source(n_layers, place.layer) < 0) return false;
  return place.set == 2 || (place.set == 0) == skip;
}

void check_whole(const IntegrationWeights& weights, const std::string& where) {
  for (const IntegrationSet* set : {&weights.unet, &weights.mix, &weights.both}) {
    for (const IntegrationLayer& layer : *set) {
      for (const FeatureMix* mix : {&layer.baseline, &layer.skip}) {
        if (mix->keep.size() == mix->take.size() && mix->keep.size() == mix->shift.size()) continue;
        throw bad_input("{}: a point lacks one of keep, take and shift; fit them again", where);
      }
    }
  }
}

}  // namespace

void apply_mix(const FeatureMix& mix, const float* other, float* x) {
  const float *keep = mix.keep.data(), *take = mix.take.data(), *shift = mix.shift.data();
  for (size_t i = 0; i < mix.keep.size(); ++i)
    x[i] = keep[i] * x[i] + take[i] * other[i] + shift[i];
}

int skip_source(int n_layers, int layer) {
  const int source = n_layers - 1 - layer;
  return layer >= n_layers / 2 && source < n_layers / 2 ? source : -1;
}

std::string integration_bytes(const IntegrationWeights& weights) {
  nlohmann::json header = nlohmann::json::object();
  std::string data;
  IntegrationWeights copy = weights;
  for (int set = 0; set < 3; ++set) {
    IntegrationSet& layers = set_of(copy, set);
    for (size_t l = 0; l < layers.size(); ++l) {
      for (int point = 0; point < 2; ++point) {
        FeatureMix& mix = point_of(layers[l], point);
        for (int part = 0; part < 3 && !mix.empty(); ++part) {
          const std::vector<float>& values = part_of(mix, part);
          const size_t begin = data.size();
          data.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
          header[fmt::format("{}.h.{}.{}.{}", kSets[set], l, kPoints[point], kParts[part])] = {
              {"dtype", "F32"}, {"shape", {values.size()}}, {"data_offsets", {begin, data.size()}}};
        }
      }
    }
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  const uint64_t length = text.size();
  std::string file(sizeof(length), '\0');
  std::memcpy(file.data(), &length, sizeof(length));
  return file + text + data;
}

IntegrationWeights parse_integration(std::span<const std::byte> file, const ModelConfig& config,
                                     const std::string& where) {
  IntegrationWeights weights;
  const auto d = static_cast<size_t>(config.d_model);
  for (const SafetensorsEntry& entry : parse_safetensors(file, where)) {
    const Place place = parse_name(entry.name);
    if (!is_possible(place, config.n_layers)) {
      throw bad_input("{}: \"{}\" is no part of an integration point of this model; fit them again",
                      where, printable(entry.name, 60));
    }
    const bool fits = entry.dtype == "F32" && entry.shape.size() == 1 &&
                      entry.shape[0] == config.d_model && entry.bytes == d * sizeof(float);
    if (!fits || !all_finite(entry.data, DType::f32, config.d_model)) {
      throw bad_input("{}: \"{}\" is not {} finite f32 numbers; fit them again", where, entry.name,
                      d);
    }
    IntegrationSet& set = set_of(weights, place.set);
    set.resize(static_cast<size_t>(config.n_layers));
    auto& values =
        part_of(point_of(set[static_cast<size_t>(place.layer)], place.point), place.part);
    values.resize(d);
    load_elements(entry.data, DType::f32, 1, config.d_model, values.data());
  }
  check_whole(weights, where);
  return weights;
}

std::shared_ptr<const IntegrationWeights> find_integration(const std::filesystem::path& folder,
                                                           const ModelConfig& config) {
  const std::filesystem::path path = folder / kIntegrationFile;
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return nullptr;
  const MappedFile file(path);
  return std::make_shared<IntegrationWeights>(
      parse_integration(file.bytes(), config, path.string()));
}

const IntegrationSet& require_set(const IntegrationWeights* weights, bool with_mix, bool with_unet,
                                  const ModelConfig& config) {
  static constexpr const char* kFit =
      "fit them with sentinel prune --fit_integration, which saves them beside the pruned model";
  if (!weights) throw usage_error("integration points: the model has no fitted weights; {}", kFit);
  const IntegrationSet& set = weights->set(with_mix, with_unet);
  if (set.empty()) {
    throw usage_error("integration points: no weights were fitted for {}{}{}; {}",
                      with_mix ? "mixing" : "", with_mix && with_unet ? " with " : "",
                      with_unet ? "skips" : "", kFit);
  }
  const auto d = static_cast<size_t>(config.d_model);
  bool fits = std::ssize(set) == config.n_layers;
  for (const IntegrationLayer& layer : set) {
    for (const FeatureMix* mix : {&layer.baseline, &layer.skip}) {
      fits = fits && (mix->empty() || mix->keep.size() == d);
    }
  }
  if (!fits) throw usage_error("integration points: the weights belong to another model; {}", kFit);
  return set;
}

}  // namespace sentinel
