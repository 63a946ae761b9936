// Calibration statistics on disk: config.json says of what, model.safetensors holds the matrices.
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "app/prune/calibration.h"
#include "base/error.h"
#include "base/files.h"
#include "base/mapped_file.h"
#include "model/checkpoint/safetensors.h"
#include "model/checkpoint/writer.h"

namespace sentinel {
namespace {
using nlohmann::json;

constexpr const char* kFormat = "sentinel calibration statistics 1";

OutputTensor floats(std::string name, const std::vector<float>& values) {
  return tensor_from_bytes(std::move(name), DType::f32, {std::ssize(values)},
                           std::as_bytes(std::span(values)));
}

std::string part_name(size_t layer, const char* part, const char* what) {
  return fmt::format("{}.{}.{}", layer, part, what);
}

class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : where_(path.string()), file_(path), entries_(parse_safetensors(file_.bytes(), where_)) {}

  PackedMoments moments(size_t layer, const char* part, int n) const {
    PackedMoments m;
    m.n = n;
    m.mean = floats(part_name(layer, part, "mean"), n);
    m.upper = floats(part_name(layer, part, "upper"), int64_t{n} * (n + 1) / 2);
    return m;
  }

 private:
  std::vector<float> floats(const std::string& name, int64_t n) const {
    for (const SafetensorsEntry& entry : entries_) {
      if (entry.name != name) continue;
      if (entry.dtype != "F32" || entry.bytes != static_cast<size_t>(n) * 4) break;
      if (!all_finite(entry.data, DType::f32, n)) break;
      std::vector<float> values(static_cast<size_t>(n));
      load_elements(entry.data, DType::f32, 1, n, values.data());
      return values;
    }
    throw bad_input("{}: tensor \"{}\" is missing or damaged; collect the statistics again", where_,
                    name);
  }

  std::string where_;
  MappedFile file_;
  std::vector<SafetensorsEntry> entries_;
};

std::vector<double> doubles(const json& values, int n, const std::string& where) {
  if (!values.is_array() || std::ssize(values) != n) {
    throw bad_input("{}: a list of {} numbers is missing; collect the statistics again", where, n);
  }
  std::vector<double> out;
  for (const json& value : values) {
    if (!value.is_number() || !std::isfinite(value.get<double>())) {
      throw bad_input("{}: holds {} in place of a number; collect the statistics again", where,
                      printable(value.dump(), 40));
    }
    out.push_back(value.get<double>());
  }
  return out;
}

json checked_header(const std::filesystem::path& path, const std::string& model_sha256,
                    const std::string& text_sha256) {
  const json header = read_json(path);
  const auto text = [&](const char* key) {
    return header.is_object() && header.contains(key) && header[key].is_string()
               ? header[key].get<std::string>()
               : std::string();
  };
  if (text("format") != kFormat) {
    throw bad_input(
        "{}: not calibration statistics of this version; collect them again with "
        "--save_stats",
        path.string());
  }
  if (text("model_sha256") != model_sha256) {
    throw bad_input("{}: statistics of another model; collect them again with --save_stats",
                    path.string());
  }
  if (!text_sha256.empty() && text("text_sha256") != text_sha256) {
    throw bad_input(
        "{}: statistics of another calibration text (sha256 {}); give that text or "
        "collect them again with --save_stats",
        path.string(), printable(text("text_sha256"), 64));
  }
  if (text("text_sha256").empty()) {
    throw bad_input("{}: text_sha256 is missing; collect the statistics again", path.string());
  }
  return header;
}

}  // namespace

void save_stats(const std::filesystem::path& folder, const CalibrationStats& stats) {
  CheckpointOutput output;
  json header = {{"format", kFormat},
                 {"model_sha256", stats.model_sha256},
                 {"text_sha256", stats.text_sha256},
                 {"tokens", stats.tokens},
                 {"window", stats.window},
                 {"layers", json::array()}};
  for (size_t l = 0; l < stats.layers.size(); ++l) {
    const LayerStats& layer = stats.layers[l];
    header["layers"].push_back({{"entropy", layer.entropy},
                                {"utilization", layer.utilization},
                                {"output", layer.output},
                                {"ffn", layer.ffn.n > 0}});
    for (const auto& [part, m] :
         {std::pair{"attention", &layer.attention}, std::pair{"ffn", &layer.ffn}}) {
      output.tensors.push_back(floats(part_name(l, part, "mean"), m->mean));
      output.tensors.push_back(floats(part_name(l, part, "upper"), m->upper));
    }
  }
  output.config = &header;
  write_checkpoint(folder, output);
}

CalibrationStats load_stats(const std::filesystem::path& folder, const ModelConfig& config,
                            const std::string& model_sha256, const std::string& text_sha256) {
  const std::filesystem::path path = folder / "config.json";
  const json header = checked_header(path, model_sha256, text_sha256);
  const auto number = [&](const char* key) -> int64_t {
    const auto found = header.find(key);
    return found != header.end() && found->is_number_integer() ? found->get<int64_t>() : 0;
  };
  const json layers = header.value("layers", json::array());
  if (!layers.is_array() || std::ssize(layers) != config.n_layers) {
    throw bad_input("{}: layers are missing; collect the statistics again", path.string());
  }
  CalibrationStats stats;
  stats.model_sha256 = model_sha256;
  stats.text_sha256 = header["text_sha256"].get<std::string>();
  stats.tokens = number("tokens");
  stats.window = static_cast<int>(number("window"));
  const Reader reader(folder / "model.safetensors");
  for (size_t l = 0; l < layers.size(); ++l) {
    if (!layers[l].is_object()) {
      throw bad_input("{}: layer {} is no object; collect the statistics again", path.string(), l);
    }
    const int n = config.layers[l].n_heads;
    LayerStats& layer = stats.layers.emplace_back();
    layer.entropy = doubles(layers[l].value("entropy", json()), n, path.string());
    layer.utilization = doubles(layers[l].value("utilization", json()), n, path.string());
    layer.output = doubles(layers[l].value("output", json()), n, path.string());
    layer.attention = reader.moments(l, "attention", n * config.head_dim);
    const json ffn = layers[l].value("ffn", json());
    if (ffn.is_boolean() && ffn.get<bool>()) {
      layer.ffn = reader.moments(l, "ffn", config.layers[l].ffn_dim);
    }
  }
  return stats;
}

std::shared_ptr<const HeadMeans> load_head_means(const std::filesystem::path& folder,
                                                 const Checkpoint& checkpoint) {
  CalibrationStats stats =
      load_stats(folder, checkpoint.config(), model_fingerprint(checkpoint), "");
  auto means = std::make_shared<HeadMeans>();
  means->text_sha256 = stats.text_sha256;
  means->tokens = stats.tokens;
  for (LayerStats& layer : stats.layers) means->layers.push_back(std::move(layer.attention.mean));
  return means;
}

}  // namespace sentinel
