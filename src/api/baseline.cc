#include <nlohmann/json.hpp>

#include "api/impl.h"
#include "base/error.h"
#include "model/checkpoint/hub_cache.h"
#include "model/checkpoint/memory_checkpoint.h"

namespace sentinel {
namespace {

std::shared_ptr<const Tokenizer> load_tokenizer(const std::filesystem::path& folder) {
  if (folder.empty()) return nullptr;
  return Tokenizer::load(folder);
}

// A checkpoint without tokenizer files is usable with token ids; a broken tokenizer is an error.
bool holds_tokenizer(const std::filesystem::path& folder) {
  if (folder.empty()) return false;
  std::error_code error;
  for (const char* name : {"tokenizer.json", "vocab.json", "merges.txt"}) {
    if (std::filesystem::exists(folder / name, error)) return true;
  }
  return false;
}

// Empty: neither a folder nor in the cache.
std::filesystem::path tokenizer_folder(const std::string& name) {
  std::error_code error;
  if (std::filesystem::is_directory(name, error)) return name;
  if (!is_hub_name(name)) return {};
  return find_in_hub_cache(name, HubEnvironment::from_process()).snapshot;
}

std::filesystem::path require_tokenizer_folder(const std::string& name) {
  const std::filesystem::path folder = tokenizer_folder(name);
  if (!name.empty() && folder.empty()) {
    throw bad_input("tokenizer: {} is neither a folder nor a hub name in the local cache",
                    printable(name));
  }
  return folder;
}

BaselineModel make_baseline(std::shared_ptr<const Checkpoint> checkpoint,
                            std::shared_ptr<const Tokenizer> tokenizer) {
  return BaselineModel(std::make_shared<BaselineModel::Impl>(
      BaselineModel::Impl{std::move(checkpoint), std::move(tokenizer)}));
}

}  // namespace

const Tokenizer& require_tokenizer(const BaselineModel::Impl& impl) {
  if (impl.tokenizer) return *impl.tokenizer;
  throw usage_error(
      "{}: this model has no tokenizer, so only token ids can be used; give the "
      "folder of its tokenizer files when loading it",
      impl.checkpoint->origin());
}

BaselineModel load_baseline_model(const std::string& model) {
  auto checkpoint = Checkpoint::open(model);
  const auto& folder = checkpoint->folder();
  auto tokenizer = holds_tokenizer(folder) ? load_tokenizer(folder) : nullptr;
  return make_baseline(std::move(checkpoint), std::move(tokenizer));
}

BaselineModel load_baseline_model(StateDict state) {
  MemoryCheckpointSource source{std::move(state.config_json),
                                {},
                                std::move(state.owner),
                                require_tokenizer_folder(state.tokenizer)};
  for (NamedTensor& tensor : state.tensors) {
    source.tensors.push_back({.name = std::move(tensor.name),
                              .dtype = std::move(tensor.dtype),
                              .shape = std::move(tensor.shape),
                              .data = static_cast<const std::byte*>(tensor.data)});
  }
  auto checkpoint = open_memory_checkpoint(std::move(source));
  auto tokenizer = load_tokenizer(checkpoint->folder());
  return make_baseline(std::move(checkpoint), std::move(tokenizer));
}

bool finds_tokenizer(const std::string& name) { return holds_tokenizer(tokenizer_folder(name)); }

int BaselineModel::n_layers() const { return impl_->checkpoint->config().n_layers; }

int BaselineModel::n_heads(int layer) const {
  const ModelConfig& config = impl_->checkpoint->config();
  if (layer < 0 || layer >= config.n_layers) {
    throw usage_error("layer {} does not exist: the model has layers 0 to {}", layer,
                      config.n_layers - 1);
  }
  return config.layers[layer].n_heads;
}

int BaselineModel::d_model() const { return impl_->checkpoint->config().d_model; }
int BaselineModel::vocab_size() const { return impl_->checkpoint->config().vocab_size; }
int BaselineModel::context_length() const { return impl_->checkpoint->config().context_length; }
int64_t BaselineModel::parameter_count() const { return impl_->checkpoint->parameter_count(); }
const std::string& BaselineModel::origin() const { return impl_->checkpoint->origin(); }
std::string BaselineModel::config_json() const { return impl_->checkpoint->raw_config().dump(2); }
bool BaselineModel::has_tokenizer() const { return impl_->tokenizer != nullptr; }

std::vector<int32_t> BaselineModel::encode(std::string_view text, bool parse_special) const {
  return require_tokenizer(*impl_).encode(text, parse_special);
}

std::string BaselineModel::decode(std::span<const int32_t> ids) const {
  return require_tokenizer(*impl_).decode(ids);
}

}  // namespace sentinel
