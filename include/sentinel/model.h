// Models: a baseline is an opened checkpoint with its tokenizer; an adaptive model runs it at one
// optimisation level, with a state, a gate and a consent for every head.
//
// Errors are sentinel::Error with the line that the command line would print. A BaselineModel is
// const and may be shared by threads; an AdaptiveModel may be used by one thread at a time. Several
// adaptive models may run at the same time: they share the baseline's memory-mapped weights.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "sentinel/agency.h"
#include "sentinel/controller.h"
#include "sentinel/evaluate.h"
#include "sentinel/export.h"
#include "sentinel/generate.h"
#include "sentinel/options.h"

namespace sentinel {

struct SaveOptions {
  // "f32", "f16", "bf16" or "int8" (matrices, with scales; only Sentinel reads it, so not with
  // `padded`); empty: as the token embedding is stored.
  std::string dtype = {};
  bool padded = false;  // the unpruned shape with zeros: every GPT-2 reader opens it
};

// A copy is cheap and shares everything.
class SENTINEL_API BaselineModel {
 public:
  int n_layers() const;
  int n_heads(int layer) const;  // present in the layer. Error (usage): no such layer
  int d_model() const;
  int vocab_size() const;
  int context_length() const;
  int64_t parameter_count() const;    // a tied output matrix counts once
  const std::string& origin() const;  // "folder X", "hub cache: NAME -> X", "state dict"
  std::string config_json() const;    // config.json as it stands

  bool has_tokenizer() const;
  // Error (usage) without a tokenizer. With parse_special the text of a special token
  // ("<|endoftext|>") is that token, as in Hugging Face's tokenizers; without it is ordinary text.
  std::vector<int32_t> encode(std::string_view text, bool parse_special = false) const;
  std::string decode(std::span<const int32_t> ids) const;  // Error (usage) also: id out of range

  // Writes the model as a folder that load_baseline_model() opens. `folder` must not exist.
  // Error (usage, runtime).
  void save_pretrained(const std::string& folder, const SaveOptions& options = {}) const;

  struct Impl;
  explicit BaselineModel(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const { return *impl_; }

 private:
  std::shared_ptr<const Impl> impl_;
};

// A folder, a file in it, or a hub name that is looked up in the local Hugging Face cache.
// Error (bad_input).
SENTINEL_API BaselineModel load_baseline_model(const std::string& model);

// One tensor in the caller's memory, little-endian, row-major, at any address.
struct NamedTensor {
  std::string name;   // as GPT2LMHeadModel's state dict: "transformer.wte.weight"
  std::string dtype;  // "F32", "F16", "BF16"
  std::vector<int64_t> shape;
  const void* data = nullptr;
};

// A model that lies in memory. Tensors are used where they are, and must not change.
struct StateDict {
  std::string config_json;  // the text of a config.json
  std::vector<NamedTensor> tensors;
  std::shared_ptr<const void> owner;  // kept as long as the tensors are needed
  std::string tokenizer;  // folder or hub name of tokenizer files; empty: token ids only
};
// Error (bad_input) as for a file: every tensor used once, shapes checked.
SENTINEL_API BaselineModel load_baseline_model(StateDict state);

// Whether StateDict::tokenizer may be `name`: a folder with tokenizer files, or a hub name whose
// files are in the local cache.
SENTINEL_API bool finds_tokenizer(const std::string& name);

struct PruningOptions {
  double heads = 0, ffn = 0;          // percent of the heads and of the feed-forward neurons
  std::string strategy = "obs";       // as `sentinel prune --strategy`
  std::string recover = "refit";      // "none", "bias", "refit"
  double min_ridge = 1e-4;            // of a refit; 0.01 makes weights that bear 4 bits
  std::string calibration_text = {};  // empty: the bundled one
  std::string save_stats = {};        // folder to make for the calibration statistics; empty: none
  int round_to = 16;                  // neurons of a layer go in multiples of this
  uint64_t seed = 0;
  int threads = 0;              // 0: all cores this process may use
  std::stop_token cancel = {};  // requested: Error (interrupted)
  std::function<void(const std::string& stage, int64_t done, int64_t total)> on_progress = {};
};
// A smaller model in memory: heads and neurons removed for good, the others refitted so that the
// outputs change least. Takes minutes for large models. Error (usage, interrupted); also where
// neither an amount nor save_stats is given.
SENTINEL_API BaselineModel prune_model(const BaselineModel& model, const PruningOptions& options);

// Logits of every position.
struct Logits {
  int rows = 0, vocab_size = 0;
  std::vector<float> values;  // [rows, vocab_size]
  std::span<const float> row(int r) const& {
    return std::span(values).subspan(static_cast<size_t>(r) * vocab_size, vocab_size);
  }
  std::span<const float> row(int r) const&& = delete;  // of logits that are gone
};

struct HeadPruneOptions {
  std::string strategy = "magnitude";  // as `sentinel profile --strategy`; all but random and
                                       // magnitude need a calibration text
  std::string calibration_text = {};
  uint64_t seed = 0;            // of strategy "random"
  std::stop_token cancel = {};  // requested: Error (interrupted), and no head is closed
};

class SENTINEL_API AdaptiveModel {
 public:
  AdaptiveModel(AdaptiveModel&&) noexcept;
  AdaptiveModel& operator=(AdaptiveModel&&) noexcept;
  ~AdaptiveModel();

  const BaselineModel& baseline() const;
  int optimization_level() const;  // the one that runs
  RunInfo info() const;

  // Continues a text (an empty one begins after the end-of-text token). Error (usage): options out
  // of range, a prompt longer than the context, no tokenizer.
  GenerationResult generate(std::string_view prompt, const GenerationOptions& options = {});
  // The same from token ids. Without a tokenizer the result has no text and no stop texts work.
  GenerationResult generate_ids(std::span<const int32_t> prompt,
                                const GenerationOptions& options = {});

  // Logits of all positions of one sequence. Error (usage): empty, longer than the context, ids
  // outside the vocabulary.
  Logits forward(std::span<const int32_t> ids);
  // The same into logits [ids.size(), vocab_size].
  void forward_into(std::span<const int32_t> ids, std::span<float> logits);
  // A padded batch: ids and mask [batch, length], logits [batch, length, vocab_size]. Positions
  // whose mask is 0 are left out, wherever they stand: they change no other row, and their own
  // logits are 0. An empty mask means that nothing is padding.
  void forward_batch_into(int batch, int length, std::span<const int32_t> ids,
                          std::span<const uint8_t> mask, std::span<float> logits);

  double perplexity(std::string_view text);
  EvaluationResult evaluate(std::string_view text, const EvaluationOptions& options = {});

  // Changes take effect at the next call. They return false, and the request is logged as a
  // violation, when it would open a head without consent. Error (usage): no such layer or head, a
  // gate outside [0, 1].
  bool set_head_state(int layer, int head, HeadState state,
                      std::optional<bool> consent = std::nullopt);
  bool set_gate(int layer, int head, float gate);
  void set_consent(int layer, int head, bool consent);
  HeadStatus head_status(int layer, int head) const;

  // From now on generate() closes and opens heads towards the controller's goals. Its text is
  // scored at the next call, before the first token. Error (usage): goals that make no sense, level
  // 3, level 0 with a speed to hold, agency "off", verify, a text too short to score.
  void set_controller(const ControllerOptions& options);
  void clear_controller();  // opens what it has closed; none: does nothing
  std::optional<ControllerReport> controller_report() const;  // empty: none is set

  // Whether generate() times the model's operations for AgencyReport::performance_stats; on: what
  // was timed before is forgotten. Error (usage): with verify.
  void set_timing(bool on);

  AgencyReport get_agency_report() const;
  std::vector<std::vector<int>> get_gate_activity() const;  // per layer: heads with gate > 0.2

  // Closes (gate 0) the floor(heads * percent / 100) heads that the strategy ranks lowest, and
  // returns them by layer and head. Error (usage).
  std::vector<HeadId> prune(int percent, const HeadPruneOptions& options = {});

  // Writes a checkpoint that computes what this model computes as its heads are set: closed heads
  // are left out and leave their mean with head_means, the factors of the others are multiplied
  // into their output weights. What only a run has is not saved: protect_first, integration points.
  // `folder` must not exist. Error (usage, runtime).
  void save_pretrained(const std::string& folder, const SaveOptions& options = {}) const;

  struct Impl;
  explicit AdaptiveModel(std::unique_ptr<Impl> impl);

 private:
  std::unique_ptr<Impl> impl_;
};

// Packs the baseline's weights for the level. Error (usage): options out of range or not
// available on this machine; Error (bad_input): weights that are not finite.
SENTINEL_API AdaptiveModel load_adaptive_model(const BaselineModel& baseline,
                                               const AdaptiveOptions& options = {});
// The same with the dense model that was opened already, as options.integration_baseline: what
// `baseline` was pruned from.
SENTINEL_API AdaptiveModel load_adaptive_model(const BaselineModel& baseline,
                                               const AdaptiveOptions& options,
                                               const BaselineModel& dense);

}  // namespace sentinel
