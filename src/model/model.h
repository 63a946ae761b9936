// A runnable model at one optimisation level, and sessions (sequences with their KV cache) on it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/types.h"
#include "model/agency/head_means.h"
#include "model/agency/head_table.h"
#include "model/checkpoint/checkpoint.h"
#include "model/flops.h"
#include "model/integration/weights.h"
#include "model/op_trace.h"

namespace sentinel {

enum class AgencyMode { off, track, automatic };
const char* to_string(WeightType type);
const char* to_string(KvType type);
const char* to_string(AgencyMode mode);
// What becomes of the positions that a head missed while it was off: their keys and values are
// computed when it returns, or it never sees them.
enum class KvReturn { exact, hole };
const char* to_string(KvReturn kind);
// Error (usage), which names the option `what`.
WeightType parse_weight_type(std::string_view name, const char* what = "weights");
KvType parse_kv_type(std::string_view name);          // Error (usage)
AgencyMode parse_agency_mode(std::string_view name);  // Error (usage): off, track, auto
KvReturn parse_kv_return(std::string_view name);      // Error (usage)

// What a level chooses where the caller does not (docs/quantisation.md says why these types).
struct LevelPreset {
  WeightType weights;
  WeightType lm_head;
  KvType kv;
  int tracking_interval;  // agency is tracked every so many steps; 0: never
  bool closing_is_final;  // a closed head leaves memory and cannot be opened again
};
LevelPreset level_preset(int level);  // Error (usage) outside 0..3
// The most by which perplexity may grow beyond level 0's, percent; 0 for levels 0 and 1.
double promised_growth_percent(int level);
// Steps from one look at the heads to the next, 0 for none. Empty: what the level does by itself.
int tracking_interval(int level, std::optional<AgencyMode> mode);

// What may be asked for; what is left empty follows from the level.
struct ModelOptions {
  int level = 1;                      // 0..3, else Error (usage)
  int threads = 0;                    // 0: all cores this process may use
  std::shared_ptr<ThreadPool> pool;   // null: an own one; `threads` is not looked at otherwise
  std::string isa;                    // scalar, avx2, avx512, amx; empty: SENTINEL_ISA, else best
  std::optional<WeightType> weights;  // of the layers
  std::optional<WeightType> lm_head;
  std::optional<KvType> kv;
  std::optional<AgencyMode> agency;  // empty: track, at level 3 off
  AgencyOptions agency_options;
  KvReturn kv_return = KvReturn::exact;
  // What a head that is closed by (1 - f g) leaves behind; null: nothing.
  std::shared_ptr<const HeadMeans> head_means;
  std::vector<HeadId> removed_heads;  // left out of memory; they can never be opened
  // Position 0 of every sequence is computed with all heads that have consent, whatever is closed
  // for the rest (levels 1 to 3). Removed heads take part when their weights are at hand: with
  // `unpruned`, the model that this one was pruned from, or with removed_heads.
  bool protect_first = false;
  std::shared_ptr<const Checkpoint> unpruned;
  // Integration points (docs/agency.md), off unless asked for; they need fitted weights. The
  // baseline whose hidden states are mixed in is `unpruned`, else the model with all heads open.
  bool mix_baseline = false, unet = false;
  std::shared_ptr<const IntegrationWeights> integration;

  bool operator==(const ModelOptions&) const = default;  // what is shared by its address
};

// Error (usage): no such level, or a number type that level 0 does not have (it is f32 alone).
void check_options(const ModelOptions& options);

// What really runs, read back from the model.
struct ModelInfo {
  int level = 0;
  int threads = 0;
  std::string isa;
  WeightType weights = WeightType::f32, lm_head = WeightType::f32;
  KvType kv = KvType::f32;
  AgencyMode agency = AgencyMode::track;
  int tracking_interval = 0;  // steps from one look at the heads to the next; 0: not tracked
  KvReturn kv_return = KvReturn::exact;
  bool head_means = false;  // closed heads leave their mean
  bool protect_first = false;
  bool mix_baseline = false, unet = false;  // integration points that run
  bool kv_cache = true;                     // level 0 recomputes the whole sequence
  // Weights held in memory: packed matrices without norms and biases; at level 0 all in f32.
  int64_t weight_bytes = 0;
  int64_t kv_bytes_per_token = 0;
};

// The cache that runs: f32, bf16, int8 or none.
const char* kv_cache_name(const ModelInfo& info);

// Receives logits [rows, vocab_size] of the positions first_position ... first_position + rows - 1.
using LogitsSink = std::function<void(int first_position, int rows, const float* logits)>;

// Taps activations of layer `layer` for rows of one sequence (importance scores, calibration).
class Observer {
 public:
  virtual ~Observer() = default;
  // Attention context before Wo, already scaled by the head's factor: row r, head h starts at
  // context + r * stride + h * head_dim, for h in [0, n_heads); closed heads hold zeros.
  // entropy [rows, n_heads]: nats of each attention row (row r sees first_position + r + 1 keys).
  virtual void on_attention(int layer, int first_position, int rows, const float* context,
                            int64_t stride, const float* entropy) = 0;
  // FFN activations after the non-linearity: [rows, ffn_dim] with the given stride.
  virtual void on_ffn(int layer, int first_position, int rows, const float* activation,
                      int64_t stride) = 0;
  // The residual stream [rows, d_model]: what enters a layer (`layer` n_layers: what leaves the
  // last), or what is there behind its attention, before any integration point. Only if asked for.
  enum class Hidden { layer_input, after_attention };
  virtual bool wants_hidden() const { return false; }
  virtual void on_hidden(int /*layer*/, Hidden /*where*/, int /*first_position*/, int /*rows*/,
                         const float* /*x*/, int64_t /*stride*/) {}
};

// Sequences that share one model. Not thread-safe; at most one session computes at a time.
class Session {
 public:
  virtual ~Session() = default;
  virtual int max_sequences() const = 0;
  virtual int max_length() const = 0;
  virtual int length(int sequence) const = 0;

  // Appends tokens to one sequence. `logits` [vocab_size] of the last token, or null.
  // Error (usage): no room left, token out of range, empty span.
  virtual void prefill(int sequence, std::span<const int32_t> tokens, float* logits) = 0;
  // The same, handing the logits of every position to the sink in blocks of a few rows.
  virtual void prefill(int sequence, std::span<const int32_t> tokens, const LogitsSink& sink) = 0;
  // As prefill, for a few tokens of which the caller will perhaps keep only the first (truncate):
  // logits [tokens.size(), vocab_size] of every position, bit for bit those that step() gives when
  // the tokens come one by one.
  virtual void window(int sequence, std::span<const int32_t> tokens, float* logits) = 0;
  // One token for each of the first tokens.size() sequences; logits [tokens.size(), vocab_size].
  virtual void step(std::span<const int32_t> tokens, float* logits) = 0;
  // Forgets the positions from `length` on. Error (usage): it is negative.
  virtual void truncate(int sequence, int length) = 0;
  virtual void set_observer(Observer* observer) = 0;  // null: none; must outlive its use
  // Operations are timed into `trace`, which is for info().threads threads; null: none. Sessions
  // that have no operations of their own ignore it.
  virtual void set_trace(OpTrace* trace) { static_cast<void>(trace); }
};

class Model {
 public:
  // Packs the checkpoint's weights for the level. Error (usage, bad_input: NaN weights).
  static std::unique_ptr<Model> create(std::shared_ptr<const Checkpoint> checkpoint,
                                       const ModelOptions& options);
  virtual ~Model() = default;

  virtual const Checkpoint& checkpoint() const = 0;
  const ModelConfig& config() const { return checkpoint().config(); }
  virtual const ModelInfo& info() const = 0;
  // The integration points that run; null: none.
  virtual const IntegrationSet* integration() const { return nullptr; }
  // Changes take effect at the next prefill or step.
  virtual HeadTable& heads() = 0;
  virtual const HeadTable& heads() const = 0;
  // max_length <= config().context_length.
  virtual std::unique_ptr<Session> new_session(int max_sequences, int max_length) = 0;
  // Weight bytes that one decode step reads with the heads as they are now, plus the KV bytes of a
  // sequence of `context` tokens.
  virtual int64_t bytes_per_token(int context) const = 0;
  // The same by operation, with what bytes_per_token leaves out as small: norms, biases and
  // embeddings. Zeros from models that cannot tell.
  virtual OpBytes operation_bytes(int context) const {
    static_cast<void>(context);
    return {};
  }
  // The memory that a decode step reads its weights from; empty where it is not one block.
  virtual std::span<const std::byte> packed_weights() const { return {}; }
  // Multiply-add operations x 2 of the layers and lm_head for one token that sees `context`
  // positions, with the heads as they are now.
  virtual double flops_per_token(int context) const = 0;
  // The same of a prefill whose tokens see `context` positions on average; of the last one alone
  // what is computed for no other, as lm_head.
  virtual double prefill_flops(int context, int tokens) const {
    return flops_per_token(context) +
           (tokens - 1) * (flops_per_token(context) - lm_head_flops(config()));
  }
};

}  // namespace sentinel
