#include "model/fast_model.h"

#include <algorithm>
#include <cmath>

#include "base/cpu_features.h"
#include "base/error.h"
#include "kernels/registry.h"
#include "model/agency/tracking.h"
#include "model/decoder.h"
#include "model/first_position.h"
#include "model/session_checks.h"

namespace sentinel {
namespace {

std::shared_ptr<ThreadPool> threads_of(const ModelOptions& options) {
  if (options.pool) return options.pool;
  return std::make_shared<ThreadPool>(ThreadPool::count_for(options.threads));
}

class FastModel;

KernelTable with_window_products(KernelTable kernels) {
  std::copy(std::begin(kernels.window), std::end(kernels.window), kernels.linear);
  return kernels;
}

class FastSession : public Session {
 public:
  FastSession(FastModel& model, int max_sequences, int max_length);

  int max_sequences() const override { return cache_.max_sequences(); }
  int max_length() const override { return cache_.max_length(); }
  int length(int sequence) const override {
    check_sequence(sequence, max_sequences());
    return lengths_[sequence];
  }
  void prefill(int sequence, std::span<const int32_t> tokens, float* logits) override;
  void prefill(int sequence, std::span<const int32_t> tokens, const LogitsSink& sink) override;
  void window(int sequence, std::span<const int32_t> tokens, float* logits) override;
  void step(std::span<const int32_t> tokens, float* logits) override;
  void truncate(int sequence, int length) override;
  void set_observer(Observer* observer) override { observer_ = observer; }
  void set_trace(OpTrace* trace) override { trace_ = trace; }

 private:
  // `wanted`: of the last chunk; of those before it `all`, or else none.
  template <typename AfterChunk>
  void run_chunks(int sequence, std::span<const int32_t> tokens, WantedRows wanted,
                  const AfterChunk& after);
  void make_points();
  void forward(bool window, std::span<const RowGroup> groups, const int32_t* tokens,
               WantedRows wanted = WantedRows::all);
  void refresh_plan();
  void leave_holes(std::span<const RowGroup> groups);
  bool tracks_now() const;
  bool first_is_apart(int sequence) const { return first_ && lengths_[sequence] == 0; }
  void forward_first(int sequence, int32_t token);
  void track(std::span<const RowGroup> groups);
  void run_baseline(bool window, std::span<const RowGroup> groups, const int32_t* tokens);
  Decoder decoder(bool window = false) const;

  FastModel& model_;
  KvCache cache_;
  Workspace workspace_;
  Plan plan_;
  std::vector<int> lengths_;
  std::vector<RowGroup> groups_;
  std::vector<int32_t> row_tokens_;  // of a step
  std::vector<float> sink_logits_;
  Observer* observer_ = nullptr;
  OpTrace* trace_ = nullptr;
  std::unique_ptr<FirstPosition> first_;   // null unless position 0 is protected
  IntegrationPoints points_{};             // set null: none run
  std::unique_ptr<FastSession> baseline_;  // its cache keeps pace; null unless it is mixed in
};

class FastModel : public Model {
 public:
  FastModel(std::shared_ptr<const Checkpoint> checkpoint, const ModelOptions& options)
      : checkpoint_(std::move(checkpoint)),
        kernels_(select_kernels(detect_cpu_features(), options.isa)),
        window_kernels_(with_window_products(kernels_)),
        shared_pool_(threads_of(options)),
        pool_(*shared_pool_),
        heads_(checkpoint_->config(), options.agency_options) {
    for (const HeadId id : options.removed_heads) heads_.remove(id);
    info_.level = options.level;
    info_.threads = pool_.size();
    info_.isa = kernels_.isa;
    const LevelPreset preset = level_preset(options.level);
    const auto& measured = config().weights_of_level[static_cast<size_t>(options.level)];
    info_.weights = options.weights.value_or(measured.value_or(preset.weights));
    // lm_head follows an explicit choice for the layers, except that 4 bits cost it too much.
    const WeightType head = !options.weights                       ? preset.lm_head
                            : *options.weights == WeightType::int4 ? WeightType::int6
                                                                   : *options.weights;
    info_.lm_head = options.lm_head.value_or(head);
    info_.kv = options.kv.value_or(preset.kv);
    info_.kv_return = options.kv_return;
    set_agency(options.agency);
    if (options.head_means) {
      means_ = std::make_unique<MeanOutputs>(*checkpoint_, *options.head_means);
      info_.head_means = true;
    }
    weights_ = pack_weights(*checkpoint_, info_.weights, info_.lm_head, options.removed_heads,
                            kernels_, pool_);
    info_.weight_bytes = weights_.total_bytes;
    pack_unpruned(options);
    open_integration(options);
    int64_t slots = 0;
    for (const auto& layer : weights_.layers) slots += layer.n_slots;
    info_.kv_bytes_per_token = slots * kv_position_bytes(info_.kv, weights_.head_dim_padded);
  }

  const Checkpoint& checkpoint() const override { return *checkpoint_; }
  const ModelInfo& info() const override { return info_; }
  HeadTable& heads() override { return heads_; }
  const HeadTable& heads() const override { return heads_; }
  std::unique_ptr<Session> new_session(int max_sequences, int max_length) override {
    check_session_shape(max_sequences, max_length, config().context_length);
    return std::make_unique<FastSession>(*this, max_sequences, max_length);
  }
  int64_t bytes_per_token(int context) const override {
    Plan plan;
    build_plan(weights_, heads_, plan, nullptr, leaves_holes());
    int64_t active = 0;
    for (const auto& layer : plan.layers) active += static_cast<int64_t>(layer.heads.size());
    const int64_t baseline = baseline_ ? baseline_->bytes_per_token(context) -
                                             baseline_->weights_.lm_head.bytes() -
                                             baseline_->weights_.lm_head.scale_bytes()
                                       : 0;
    return baseline + plan.weight_bytes +
           active * kv_position_bytes(info_.kv, weights_.head_dim_padded) * context;
  }
  std::span<const std::byte> packed_weights() const override {
    return {weights_.arena.data(), static_cast<size_t>(weights_.total_bytes)};
  }
  OpBytes operation_bytes(int context) const override {
    Plan plan;
    build_plan(weights_, heads_, plan, nullptr, leaves_holes());
    OpBytes bytes = operation_weight_bytes(weights_, plan);
    int64_t active = 0;
    for (const auto& layer : plan.layers) active += static_cast<int64_t>(layer.heads.size());
    bytes[static_cast<size_t>(Op::attention)] =
        active * kv_position_bytes(info_.kv, weights_.head_dim_padded) * context;
    // Lines of 64 bytes hold sixteen rows of a packed matrix: one row reads the panel.
    const MatrixView& embedding = checkpoint_->view().token_embedding;
    const auto stored_row = config().d_model * static_cast<int64_t>(size_of(embedding.dtype));
    bytes[static_cast<size_t>(Op::embeddings)] =
        (config().tied_lm_head ? weights_.lm_head.panel_stride : stored_row) +
        config().d_model * static_cast<int64_t>(sizeof(float));
    return bytes;
  }
  double flops_per_token(int context) const override {
    const double own = token_flops(config(), heads_, context);
    if (!baseline_) return own;
    return own + baseline_->flops_per_token(context) - lm_head_flops(config());
  }
  // What follows the last layer's attention is computed for one token, too.
  double prefill_flops(int context, int tokens) const override {
    const double all = Model::prefill_flops(context, tokens);
    if (integration_) return all;
    return all - (tokens - 1) * output_flops(config(), heads_, config().n_layers - 1);
  }

  // Heads that were closed for good give their memory back.
  void release_removed_heads() {
    if (info_.protect_first && !unpruned_) return;  // position 0 is computed with them
    for (size_t l = 0; l < weights_.layers.size(); ++l) {
      auto& slots = weights_.layers[l].slot_of_head;
      for (size_t h = 0; h < slots.size(); ++h) {
        const HeadId id{static_cast<int>(l), static_cast<int>(h)};
        if (slots[h] < 0 || !heads_.status(id).removed) continue;
        info_.weight_bytes -= release_head(weights_, id.layer, id.head);
        slots[h] = -1;
      }
    }
  }
  const MeanOutputs* means() const { return means_.get(); }  // null: none were given
  // Null when nothing is tracked.
  const ContributionNorms* norms() const { return norms_.get(); }

  DecoderContext context() { return context_with(kernels_, nullptr); }
  // Null unless its hidden states are mixed in.
  FastModel* baseline() { return baseline_.get(); }
  // Null when no integration point runs.
  const IntegrationSet* integration() const override { return integration_; }
  // On kernels whose results for a row do not depend on how many rows there are.
  DecoderContext window_context() { return context_with(window_kernels_, &kernels_); }
  const UnprunedWeights* unpruned() const { return unpruned_.get(); }

 private:
  DecoderContext context_with(const KernelTable& kernels, const KernelTable* catch_up) const {
    return {config(), *checkpoint_, weights_, kernels, pool_, nullptr, catch_up, leaves_holes()};
  }
  bool leaves_holes() const { return info_.kv_return == KvReturn::hole; }

  void set_agency(std::optional<AgencyMode> asked) {
    info_.tracking_interval = tracking_interval(info_.level, asked);
    info_.agency =
        info_.tracking_interval > 0 ? asked.value_or(AgencyMode::track) : AgencyMode::off;
    heads_.set_automatic(info_.agency == AgencyMode::automatic);
    if (level_preset(info_.level).closing_is_final) heads_.make_closing_final();
    if (info_.tracking_interval == 0) return;
    norms_ = std::make_unique<ContributionNorms>(*checkpoint_, kernels_, pool_);
  }

  void open_integration(const ModelOptions& options) {
    info_.mix_baseline = options.mix_baseline;
    info_.unet = options.unet;
    if (!options.mix_baseline && !options.unet) return;
    integration_weights_ = options.integration;
    integration_ = &require_set(options.integration.get(), options.mix_baseline, options.unet,
                                checkpoint_->config());
    if (!options.mix_baseline) return;
    const auto& from = options.unpruned ? options.unpruned : checkpoint_;
    check_same_family(from->config(), config());
    ModelOptions plain;
    plain.level = options.level;
    plain.pool = shared_pool_;
    plain.isa = options.isa;
    plain.weights = info_.weights;
    plain.lm_head = info_.lm_head;
    plain.kv = info_.kv;
    plain.agency = AgencyMode::off;
    baseline_ = std::make_unique<FastModel>(from, plain);
    info_.weight_bytes += baseline_->info().weight_bytes;
  }

  void pack_unpruned(const ModelOptions& options) {
    info_.protect_first = options.protect_first;
    if (!options.protect_first || (!options.unpruned && options.removed_heads.empty())) return;
    const auto& from = options.unpruned ? options.unpruned : checkpoint_;
    check_same_family(from->config(), config());
    unpruned_ = std::make_unique<UnprunedWeights>();
    unpruned_->checkpoint = from;
    unpruned_->packed = pack_weights(*from, info_.weights, info_.lm_head, {}, kernels_, pool_);
    info_.weight_bytes += unpruned_->packed.total_bytes;
  }

  std::shared_ptr<const Checkpoint> checkpoint_;
  const KernelTable kernels_, window_kernels_;
  std::shared_ptr<ThreadPool> shared_pool_;
  ThreadPool& pool_;
  HeadTable heads_;
  ModelInfo info_;
  PackedWeights weights_;
  std::unique_ptr<ContributionNorms> norms_;
  std::unique_ptr<MeanOutputs> means_;
  std::unique_ptr<UnprunedWeights> unpruned_;
  std::shared_ptr<const IntegrationWeights> integration_weights_;
  const IntegrationSet* integration_ = nullptr;
  std::unique_ptr<FastModel> baseline_;
};

int chunk_rows(int max_sequences, int max_length) {
  return std::max(max_sequences, std::min(max_length, kPrefillChunk));
}

FastSession::FastSession(FastModel& model, int max_sequences, int max_length)
    : model_(model),
      cache_(model.context().weights, model.info().kv, max_sequences, max_length),
      workspace_(model.context(), chunk_rows(max_sequences, max_length), cache_.capacity()),
      lengths_(max_sequences, 0) {
  groups_.reserve(max_sequences);
  row_tokens_.reserve(max_sequences);
  if (model.info().protect_first) {
    first_ = std::make_unique<FirstPosition>(model.context(), model.unpruned());
  }
  make_points();
}

void FastSession::make_points() {
  points_.set = model_.integration();
  if (!points_.set) return;
  if (model_.baseline()) {
    baseline_ =
        std::make_unique<FastSession>(*model_.baseline(), cache_.max_sequences(), max_length());
    points_.baseline = &baseline_->workspace_;
  }
  const int n = model_.config().n_layers;
  for (int l = 0; l < n; ++l) {
    const IntegrationLayer& layer = (*points_.set)[static_cast<size_t>(l)];
    if (!layer.skip.empty()) workspace_.keep_entry(skip_source(n, l));
    if (baseline_ && !layer.baseline.empty()) baseline_->workspace_.keep_entry(l + 1);
  }
}

void FastSession::refresh_plan() {
  if (plan_.version == model_.heads().version()) return;
  model_.release_removed_heads();
  const DecoderContext context = model_.context();
  build_plan(context.weights, model_.heads(), plan_, model_.means(), context.leaves_holes);
  for (const LayerPlan& layer : plan_.layers) {
    if (layer.keeps_inputs) cache_.prepare_inputs();
  }
}

void FastSession::forward(bool window, std::span<const RowGroup> groups, const int32_t* tokens,
                          WantedRows wanted) {
  run_baseline(window, groups, tokens);
  refresh_plan();
  workspace_.points = points_.set ? &points_ : nullptr;
  const bool tracking = tracks_now();
  workspace_.norms = tracking ? model_.norms() : nullptr;
  if (observer_ || points_.set) wanted = WantedRows::all;
  if (model_.context().leaves_holes) leave_holes(groups);
  decoder(window).forward(plan_, cache_, workspace_, groups, tokens, observer_, wanted);
  for (const RowGroup& group : groups) lengths_[group.sequence] += group.rows;
  if (tracking) track(groups);
  model_.heads().advance_step();
}

// Of heads that were off: they go on from here.
void FastSession::leave_holes(std::span<const RowGroup> groups) {
  for (const RowGroup& group : groups) {
    for (size_t l = 0; l < plan_.layers.size(); ++l) {
      for (const PlannedHead& head : plan_.layers[l].heads) {
        cache_.leave_hole(group.sequence, static_cast<int>(l), head.slot, group.first_position);
      }
    }
  }
}

// The baseline goes first over the same rows: its layers' outputs are mixed in.
void FastSession::run_baseline(bool window, std::span<const RowGroup> groups,
                               const int32_t* tokens) {
  if (!baseline_) return;
  const int64_t begin = trace_ ? OpTrace::now_ns() : 0;
  baseline_->forward(window, groups, tokens);
  if (trace_) trace_->span(Op::baseline_integration, begin, OpTrace::now_ns());
}

Decoder FastSession::decoder(bool window) const {
  DecoderContext context = window ? model_.window_context() : model_.context();
  context.trace = trace_;
  return Decoder(context);
}

bool FastSession::tracks_now() const {
  const int interval = model_.info().tracking_interval;
  return interval > 0 && model_.heads().step() % interval == 0;
}

// Row 0 of the workspace holds the result. No step of its own: it belongs to the chunk behind it.
void FastSession::forward_first(int sequence, int32_t token) {
  const RowGroup group{sequence, 0, 1, 0};
  run_baseline(false, {&group, 1}, &token);
  workspace_.points = nullptr;  // every head is there: nothing to make up for
  first_->run(model_.heads(), cache_, workspace_, sequence, token);
  lengths_[sequence] = 1;
}

// Mean utilisation over the rows that see at least two keys, mean contribution over the rows that
// attention measured.
void FastSession::track(std::span<const RowGroup> groups) {
  for (int l = 0; l < model_.config().n_layers; ++l) {
    for (const PlannedHead& head : plan_.layers[l].heads) {
      RunningMean utilization, contribution;
      for (const RowGroup& group : groups) {
        for (int r = 0; r < group.rows; ++r) {
          const int64_t entry =
              (int64_t{l} * workspace_.max_rows + group.first_row + r) * workspace_.max_heads +
              head.head;
          const int position = group.first_position + r;
          const int visible = position + 1 - cache_.missing(group.sequence, l, head.slot, position);
          if (visible >= 2) utilization.add(utilization_of(workspace_.entropy[entry], visible));
          const float norm = workspace_.contribution[entry];
          if (norm >= 0) contribution.add(norm);
        }
      }
      const HeadId id{l, head.head};
      const uint64_t version = model_.heads().version();
      if (utilization.count > 0) model_.heads().track_utilization(id, utilization.mean());
      // Measured with the factor before: none of the mean that starts with a change.
      const bool same = model_.heads().version() == version;
      if (same && contribution.count > 0)
        model_.heads().track_contribution(id, contribution.mean());
    }
  }
}

template <typename AfterChunk>
void FastSession::run_chunks(int sequence, std::span<const int32_t> tokens, WantedRows wanted,
                             const AfterChunk& after) {
  check_sequence(sequence, max_sequences());
  check_tokens(tokens, model_.config().vocab_size);
  check_room(lengths_[sequence], tokens.size(), max_length());
  for (size_t done = 0; done < tokens.size();) {
    const bool apart = first_is_apart(sequence);
    const int rows =
        apart ? 1 : std::min<int>(workspace_.max_rows, static_cast<int>(tokens.size() - done));
    const RowGroup group{sequence, 0, rows, lengths_[sequence]};
    if (apart) {
      forward_first(sequence, tokens[done]);
      if (tokens.size() == 1) model_.heads().advance_step();
    } else {
      const bool last = done + static_cast<size_t>(rows) == tokens.size();
      const bool passes_by = !last && wanted != WantedRows::all;
      forward(false, {&group, 1}, tokens.data() + done, passes_by ? WantedRows::none : wanted);
    }
    done += rows;
    after(group, done == tokens.size());
  }
}

void FastSession::prefill(int sequence, std::span<const int32_t> tokens, float* logits) {
  const WantedRows wanted = logits ? WantedRows::last : WantedRows::none;
  run_chunks(sequence, tokens, wanted, [&](const RowGroup& group, bool last) {
    if (last && logits) decoder().logits(workspace_, group.rows - 1, 1, logits);
  });
}

void FastSession::prefill(int sequence, std::span<const int32_t> tokens, const LogitsSink& sink) {
  sink_logits_.resize(static_cast<size_t>(kSmallRows) * model_.config().vocab_size);
  run_chunks(sequence, tokens, WantedRows::all, [&](const RowGroup& group, bool) {
    for (int row = 0; row < group.rows; row += kSmallRows) {
      const int rows = std::min(kSmallRows, group.rows - row);
      decoder().logits(workspace_, row, rows, sink_logits_.data());
      sink(group.first_position + row, rows, sink_logits_.data());
    }
  });
}

void FastSession::window(int sequence, std::span<const int32_t> tokens, float* logits) {
  check_sequence(sequence, max_sequences());
  check_tokens(tokens, model_.config().vocab_size);
  check_room(lengths_[sequence], tokens.size(), max_length());
  size_t done = 0;
  if (first_is_apart(sequence)) {
    prefill(sequence, tokens.first(1), logits);
    done = 1;
  }
  while (done < tokens.size()) {
    const int most = std::min(kSmallRows, workspace_.max_rows);
    const int rows = std::min(most, static_cast<int>(tokens.size() - done));
    const RowGroup group{sequence, 0, rows, lengths_[sequence]};
    forward(true, {&group, 1}, tokens.data() + done);
    decoder(true).logits(workspace_, 0, rows, logits + done * model_.config().vocab_size);
    done += rows;
  }
}

void FastSession::step(std::span<const int32_t> tokens, float* logits) {
  check_tokens(tokens, model_.config().vocab_size);
  const auto n = static_cast<int>(tokens.size());
  check_sequence(n - 1, max_sequences());
  for (int s = 0; s < n; ++s) check_room(lengths_[s], 1, max_length());
  groups_.clear();
  row_tokens_.clear();
  for (int s = 0; s < n; ++s) {
    float* own = logits + int64_t{s} * model_.config().vocab_size;
    if (first_is_apart(s)) {  // rare: each alone, in row 0
      forward_first(s, tokens[s]);
      decoder().logits(workspace_, 0, 1, own);
    } else {
      groups_.push_back({s, static_cast<int>(groups_.size()), 1, lengths_[s]});
      row_tokens_.push_back(tokens[s]);
    }
  }
  if (groups_.empty()) {
    model_.heads().advance_step();
    return;
  }
  forward(false, groups_, row_tokens_.data());
  if (std::ssize(groups_) < n) {
    for (const RowGroup& group : groups_) {
      decoder().logits(workspace_, group.first_row, 1,
                       logits + int64_t{group.sequence} * model_.config().vocab_size);
    }
    return;
  }
  for (int row = 0; row < n; row += kSmallRows) {
    decoder().logits(workspace_, row, std::min(kSmallRows, n - row),
                     logits + int64_t{row} * model_.config().vocab_size);
  }
}

void FastSession::truncate(int sequence, int length) {
  check_sequence(sequence, max_sequences());
  check_length(length);
  if (length >= lengths_[sequence]) return;
  lengths_[sequence] = length;
  cache_.truncate(sequence, length);
  if (baseline_) baseline_->truncate(sequence, length);
}

}  // namespace

std::unique_ptr<Model> make_fast_model(std::shared_ptr<const Checkpoint> checkpoint,
                                       const ModelOptions& options) {
  return std::make_unique<FastModel>(std::move(checkpoint), options);
}

}  // namespace sentinel
