#include "model/agency/preset.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {

using nlohmann::json;

constexpr const char* kFormat = "sentinel preset 1";
constexpr size_t kMaxBytes = size_t{1} << 24;

std::vector<int> shape_of(const HeadTable& heads) {
  std::vector<int> shape;
  for (int layer = 0; layer < heads.n_layers(); ++layer) shape.push_back(heads.n_heads(layer));
  return shape;
}

// Reads a document that anybody may have written.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path)
      : where_(printable(path.string())), document_(read_json(path, kMaxBytes)) {}

  Preset read() const {
    if (!document_.is_object() || document_.value("format", json()) != kFormat) {
      fail("not a preset of this version");
    }
    Preset preset;
    preset.name = text(document_, "name");
    for (const json& n : list(document_, "heads_per_layer")) {
      preset.heads_per_layer.push_back(index(n, "heads_per_layer"));
    }
    for (const json& head : list(document_, "heads")) preset.heads.push_back(read_head(head));
    if (document_.contains("measured")) preset.measured = read_measured(document_["measured"]);
    return preset;
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw bad_input("{}: {}; write it again with --save_preset", where_, what);
  }
  const json& field(const json& object, const char* key) const {
    if (!object.is_object() || !object.contains(key)) fail(fmt::format("\"{}\" is missing", key));
    return object[key];
  }
  std::string text(const json& object, const char* key) const {
    const json& value = field(object, key);
    if (!value.is_string()) fail(fmt::format("\"{}\" is not a text", key));
    return value.get<std::string>();
  }
  const json& list(const json& object, const char* key) const {
    const json& value = field(object, key);
    if (!value.is_array()) fail(fmt::format("\"{}\" is not a list", key));
    return value;
  }
  int index(const json& value, const char* key) const {
    if (!value.is_number_integer() || value < 0 || value > 1'000'000) {
      fail(fmt::format("\"{}\" holds {} where a count belongs", key, printable(value.dump(), 40)));
    }
    return value.get<int>();
  }
  double number(const json& object, const char* key) const {
    const json& value = field(object, key);
    if (!value.is_number()) fail(fmt::format("\"{}\" is not a number", key));
    return value.get<double>();
  }
  bool flag(const json& object, const char* key) const {
    const json& value = field(object, key);
    if (!value.is_boolean()) fail(fmt::format("\"{}\" is neither true nor false", key));
    return value.get<bool>();
  }

  PresetHead read_head(const json& object) const {
    PresetHead head;
    head.id = {index(field(object, "layer"), "layer"), index(field(object, "head"), "head")};
    try {
      head.state = parse_head_state(text(object, "state"));
    } catch (const Error& error) {
      fail(error.what());
    }
    const double gate = number(object, "gate");
    if (!(gate >= 0 && gate <= 1)) fail(fmt::format("gate {} is outside 0..1", gate));
    head.gate = static_cast<float>(gate);
    head.consent = flag(object, "consent");
    return head;
  }

  PresetMeasurement read_measured(const json& object) const {
    PresetMeasurement m;
    m.text = text(object, "text");
    m.text_sha256 = text(object, "text_sha256");
    const json& scored = field(object, "tokens_scored");
    if (!scored.is_number_integer() || scored < 0) fail("\"tokens_scored\" is not a count");
    m.tokens_scored = scored.get<int64_t>();
    m.perplexity = number(object, "perplexity");
    const auto optional = [&](const char* key) {
      return object.contains(key) ? std::optional(number(object, key)) : std::nullopt;
    };
    m.perplexity_base = optional("perplexity_base");
    m.level = index(field(object, "level"), "level");
    m.weights = text(object, "weights");
    m.head_means = flag(object, "head_means");
    m.perplexity_without_head_means = optional("perplexity_without_head_means");
    m.decode_tokens_per_second = optional("decode_tokens_per_second");
    if (object.contains("threads")) m.threads = index(object["threads"], "threads");
    if (object.contains("isa")) m.isa = text(object, "isa");
    return m;
  }

  std::string where_;
  json document_;
};

json measured_json(const PresetMeasurement& m) {
  json out = {{"text", m.text},
              {"text_sha256", m.text_sha256},
              {"tokens_scored", m.tokens_scored},
              {"perplexity", m.perplexity},
              {"level", m.level},
              {"weights", m.weights},
              {"head_means", m.head_means}};
  if (m.perplexity_base) out["perplexity_base"] = *m.perplexity_base;
  if (m.perplexity_without_head_means) {
    out["perplexity_without_head_means"] = *m.perplexity_without_head_means;
  }
  if (m.decode_tokens_per_second) out["decode_tokens_per_second"] = *m.decode_tokens_per_second;
  if (m.threads > 0) out["threads"] = m.threads;
  if (!m.isa.empty()) out["isa"] = m.isa;
  return out;
}

}  // namespace

Preset preset_of(const HeadTable& heads, const std::string& name) {
  Preset preset;
  preset.name = name;
  preset.heads_per_layer = shape_of(heads);
  for (int layer = 0; layer < heads.n_layers(); ++layer) {
    for (int head = 0; head < heads.n_heads(layer); ++head) {
      const HeadStatus& status = heads.status({layer, head});
      if (status.state == HeadState::active && status.gate == 1 && status.consent) continue;
      preset.heads.push_back({{layer, head}, status.state, status.gate, status.consent});
    }
  }
  return preset;
}

json to_json(const Preset& preset) {
  json heads = json::array();
  for (const PresetHead& head : preset.heads) {
    heads.push_back({{"layer", head.id.layer},
                     {"head", head.id.head},
                     {"state", to_string(head.state)},
                     {"gate", head.gate},
                     {"consent", head.consent}});
  }
  json document = {{"format", kFormat},
                   {"name", preset.name},
                   {"heads_per_layer", preset.heads_per_layer},
                   {"heads", heads}};
  if (preset.measured) document["measured"] = measured_json(*preset.measured);
  return document;
}

void save_preset(const std::filesystem::path& path, const Preset& preset) {
  write_file_atomic(path,
                    to_json(preset).dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

Preset load_preset(const std::filesystem::path& path) { return Reader(path).read(); }

void apply_preset(const Preset& preset, HeadTable& heads) {
  if (preset.heads_per_layer != shape_of(heads)) {
    throw usage_error(
        "preset \"{}\" is for a model with other heads; use it with the model that it "
        "was saved from",
        printable(preset.name));
  }
  for (const PresetHead& head : preset.heads) {  // all or nothing
    if (heads.status(head.id).removed && !closes(head)) heads.set_state(head.id, head.state);
  }
  for (const PresetHead& head : preset.heads) {
    const HeadStatus now = heads.status(head.id);
    if (!now.removed) heads.set_state(head.id, head.state);
    // A removed head is closed, as the preset wants it: nothing may open it, its gate neither.
    if (!now.removed || head.gate <= now.gate) heads.set_gate(head.id, head.gate);
    // A preset may close by consent, but it is not the one who can give it.
    if (!head.consent) heads.set_consent(head.id, false);
  }
}

bool closes(const PresetHead& head) {
  return !head.consent || state_factor(head.state) * head.gate <= 0;
}

}  // namespace sentinel
