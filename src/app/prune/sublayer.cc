#include "app/prune/sublayer.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string_view>

namespace sentinel {
namespace {

constexpr int kBatchRows = 512;  // of one forward pass when sequences are short
constexpr int kBatchSequences = 256;

// A Checkpoint that only lends views.
class ViewCheckpoint : public Checkpoint {
 public:
  ViewCheckpoint(const ModelConfig& config, ModelView view)
      : config_(config), view_(std::move(view)) {}
  const std::filesystem::path& folder() const override { return folder_; }
  const ModelConfig& config() const override { return config_; }
  const nlohmann::json& raw_config() const override { return raw_; }
  const ModelView& view() const override { return view_; }
  const std::vector<CheckpointTensor>& tensors() const override { return tensors_; }
  int64_t parameter_count() const override { return 0; }
  const std::string& origin() const override { return origin_; }
  void release_pages() const override {}

 private:
  const ModelConfig& config_;
  ModelView view_;
  std::filesystem::path folder_;
  nlohmann::json raw_;
  std::vector<CheckpointTensor> tensors_;
  std::string origin_;
};

MatrixView floats_view(const float* data, int64_t rows, int64_t width) {
  return {reinterpret_cast<const std::byte*>(data), DType::f32, rows, width, width, 1, "stream"};
}

// Whose tokens are the rows of a stream.
ModelView stream_view(const Stream& in) {
  ModelView view;
  view.token_embedding = floats_view(in.x.data(), in.rows(), in.d_model);
  return view;
}

// Copies what the decoder shows into one dense block.
class Capture : public Observer {
 public:
  Capture(SublayerKind kind, int features) : kind_(kind), features_(features) {}
  void start(int rows) {
    x.resize(static_cast<size_t>(rows) * features_);
    next_ = 0;
    entropy.clear();
  }
  void on_attention(int, int, int rows, const float* context, int64_t stride,
                    const float* entropies) override {
    if (kind_ != SublayerKind::attention) return;
    copy(rows, context, stride);
    n_heads_ = static_cast<int>(stride) / std::max(1, head_dim);
    entropy.insert(entropy.end(), entropies, entropies + int64_t{rows} * n_heads_);
  }
  void on_ffn(int, int, int rows, const float* activation, int64_t stride) override {
    if (kind_ == SublayerKind::ffn) copy(rows, activation, stride);
  }

  int head_dim = 1;
  std::vector<float> x, entropy;

 private:
  void copy(int rows, const float* from, int64_t stride) {
    for (int r = 0; r < rows; ++r, ++next_) {
      std::copy_n(from + r * stride, features_, x.data() + next_ * features_);
    }
  }
  SublayerKind kind_;
  int features_, n_heads_ = 0;
  int64_t next_ = 0;
};

// Consecutive sequences that run together.
struct Batch {
  int first_sequence, sequences, rows;
};

std::vector<Batch> batches(const std::vector<int>& lengths) {
  std::vector<Batch> list;
  for (int s = 0; s < static_cast<int>(lengths.size()); ++s) {
    const bool joins = !list.empty() && lengths[s] == 1 && lengths[s - 1] == 1 &&
                       list.back().sequences < kBatchSequences && list.back().rows < kBatchRows;
    if (!joins) {
      list.push_back({s, 1, lengths[s]});
      continue;
    }
    ++list.back().sequences;
    ++list.back().rows;
  }
  return list;
}

}  // namespace

Stream embed(const Checkpoint& checkpoint, const std::vector<float>& position_embedding,
             std::span<const std::span<const int32_t>> sequences) {
  Stream stream;
  const int64_t d = checkpoint.config().d_model;
  stream.d_model = static_cast<int>(d);
  const MatrixView& e = checkpoint.view().token_embedding;
  int64_t rows = 0;
  for (const auto& sequence : sequences) {
    stream.lengths.push_back(static_cast<int>(sequence.size()));
    rows += std::ssize(sequence);
  }
  stream.x.resize(static_cast<size_t>(rows * d));
  float* x = stream.x.data();
  for (const auto& sequence : sequences) {
    const float* position = position_embedding.data();
    for (const int32_t token : sequence) {
      load_row(e, token, x);
      for (int64_t i = 0; i < d; ++i) x[i] += position[i];
      x += d;
      position += d;
    }
  }
  return stream;
}

Stream embed(const Checkpoint& checkpoint, std::span<const std::span<const int32_t>> sequences) {
  const MatrixView& p = checkpoint.view().position_embedding;
  std::vector<float> positions(static_cast<size_t>(p.n_out * p.n_in));
  for (int64_t row = 0; row < p.n_out; ++row) load_row(p, row, positions.data() + row * p.n_in);
  return embed(checkpoint, positions, sequences);
}

PackedSublayer::PackedSublayer(const Checkpoint& base, const EditableLayer& layer, SublayerId id,
                               const KernelTable& kernels, ThreadPool& pool, WeightType type)
    : id_(id), type_(type), config_(base.config()) {
  const bool attention = id.kind == SublayerKind::attention;
  const int d = config_.d_model;
  config_.n_layers = 1;
  config_.vocab_size = 1;
  config_.tied_lm_head = false;
  config_.attention_scale = {config_.attention_scale[id.layer]};
  LayerConfig widths;
  if (attention) {
    widths.n_heads = layer.n_heads();
    widths.head_ids = layer.head_ids;
    features_ = widths.n_heads * config_.head_dim;
  } else {
    features_ = widths.ffn_dim = layer.ffn_dim();
  }
  config_.layers = {widths};

  const std::vector<float> zeros(static_cast<size_t>(d), 0.0F);
  const VectorView zero_bias{reinterpret_cast<const std::byte*>(zeros.data()), DType::f32, d, "0"};
  ModelView view = base.view();
  LayerView only = view_of(layer, view.layers[id.layer], config_.head_dim, d);
  if (attention) {
    only.up.n_out = only.up_bias.n = only.down.n_in = 0;
    only.down_bias = zero_bias;
  } else {
    only.heads.clear();
    only.o_bias = zero_bias;
  }
  view.layers = {std::move(only)};
  view.lm_head = floats_view(zeros.data(), 1, d);
  view.token_embedding.n_out = view.position_embedding.n_out = 0;
  weights_ = pack_weights(ViewCheckpoint(config_, std::move(view)), type, type, {}, kernels, pool);
  build_plan(weights_, HeadTable(config_), plan_);
}

WeightType fast_type(const KernelTable& kernels) {
  return std::string_view(kernels.isa) == "amx" ? WeightType::bf16 : WeightType::f32;
}

void SublayerRunner::run(const PackedSublayer& sublayer, const Stream& in, Stream* out,
                         const FeatureSink& sink, int64_t first_row) {
  const int d = in.d_model;
  const std::vector<Batch> list = batches(in.lengths);
  int max_rows = 1, max_sequences = 1, max_length = 1;
  for (const Batch& b : list) {
    max_rows = std::max(max_rows, b.rows);
    max_sequences = std::max(max_sequences, b.sequences);
    max_length = std::max(max_length, in.lengths[b.first_sequence]);
  }
  // A batch of many sequences holds one row each: one cache for those, one for the long ones.
  const KvType kv = sublayer.type_ == WeightType::f32 ? KvType::f32 : KvType::bf16;
  KvCache long_cache(sublayer.weights_, kv, 1, max_length);
  KvCache short_cache(sublayer.weights_, kv, max_sequences, 1);
  const ViewCheckpoint stream(sublayer.config_, stream_view(in));
  const DecoderContext context{sublayer.config_, stream, sublayer.weights_, kernels_, pool_};
  Workspace workspace(context, max_rows, std::max(long_cache.capacity(), short_cache.capacity()));
  Capture capture(sublayer.id_.kind, sublayer.features_);
  capture.head_dim = sublayer.config_.head_dim;
  std::vector<int32_t> tokens(static_cast<size_t>(max_rows));
  std::vector<int> positions(static_cast<size_t>(max_rows));
  std::vector<RowGroup> groups;
  int64_t row = 0;
  for (const Batch& b : list) {
    if (row < first_row) {
      row += b.rows;
      continue;
    }
    KvCache& cache = b.sequences == 1 ? long_cache : short_cache;
    groups.clear();
    if (b.sequences == 1) {
      cache.truncate(0, 0);
      groups.push_back({0, 0, b.rows, 0});
    } else {
      for (int s = 0; s < b.sequences; ++s) {
        cache.truncate(s, 0);
        groups.push_back({s, s, 1, 0});
      }
    }
    std::iota(tokens.begin(), tokens.begin() + b.rows, static_cast<int32_t>(row));
    capture.start(sink ? b.rows : 0);
    Decoder(context).forward(sublayer.plan_, cache, workspace, groups, tokens.data(),
                             sink ? &capture : nullptr);
    if (sink) {
      for (int r = 0; r < b.rows; ++r) positions[r] = b.sequences == 1 ? r : 0;
      if (sublayer.features_ == 0) capture.x.clear();
      sink({row, b.rows, sublayer.features_, capture.x.data(),
            capture.entropy.empty() ? nullptr : capture.entropy.data(), positions.data()});
    }
    if (out) {
      for (int r = 0; r < b.rows; ++r) {
        std::copy_n(workspace.x + r * workspace.x_stride, d, out->row(row + r));
      }
    }
    row += b.rows;
  }
}

}  // namespace sentinel
