#include "random_checkpoint.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/rng.h"
#include "model/checkpoint/hf_config.h"
#include "model/checkpoint/writer.h"
#include "random_tokenizer.h"

namespace sentinel {
namespace {
using nlohmann::json;

constexpr float kStddev = 0.02F;

// About N(0, stddev): the sum of four uniforms of 16 bits from one draw, which is 20 times as fast
// as an exact normal and reaches 3.4 sigma.
void fill_normal(Rng& rng, float stddev, std::span<float> values) {
  // A uniform on 0..65535 has the variance (2^32 - 1) / 12; four of them a third of 2^32.
  const float scale = stddev * std::sqrt(3.0F) / 65536.0F;
  for (float& value : values) {
    const uint64_t bits = rng.next();
    const auto sum = static_cast<int64_t>((bits & 0xffff) + ((bits >> 16) & 0xffff) +
                                          ((bits >> 32) & 0xffff) + (bits >> 48));
    value = static_cast<float>(sum - 2 * 65535) * scale;
  }
}

class TensorList {
 public:
  TensorList(DType dtype, uint64_t seed) : dtype_(dtype), seed_(seed) {}

  void normal(std::string name, std::vector<int64_t> shape, float stddev) {
    add(std::move(name), std::move(shape),
        [stddev](Rng& rng, std::span<float> values) { fill_normal(rng, stddev, values); });
  }
  void constant(std::string name, std::vector<int64_t> shape, float value) {
    add(std::move(name), std::move(shape),
        [value](Rng&, std::span<float> values) { std::fill(values.begin(), values.end(), value); });
  }
  std::vector<OutputTensor> take() { return std::move(tensors_); }

 private:
  using Fill = std::function<void(Rng&, std::span<float>)>;

  // Each tensor has a generator of its own, so that its values do not depend on those before.
  void add(std::string name, std::vector<int64_t> shape, Fill fill) {
    int64_t count = 1;
    for (const int64_t dim : shape) count *= dim;
    Rng rng(seed_ * 1'000'003 + tensors_.size());
    tensors_.push_back({std::move(name), dtype_, std::move(shape),
                        [rng, count, fill = std::move(fill)](TensorSink& sink) mutable {
                          std::array<float, 8192> block;
                          for (int64_t left = count; left > 0;) {
                            const auto n = std::min<int64_t>(left, std::ssize(block));
                            const auto part = std::span(block).first(static_cast<size_t>(n));
                            fill(rng, part);
                            sink.put(part);
                            left -= n;
                          }
                        }});
  }

  DType dtype_;
  uint64_t seed_;
  std::vector<OutputTensor> tensors_;
};

json make_config(const RandomCheckpoint& spec) {
  return {{"model_type", "gpt2"},
          {"architectures", {"GPT2LMHeadModel"}},
          {"activation_function", "gelu_new"},
          {"n_layer", spec.layers},
          {"n_head", spec.heads},
          {"n_embd", spec.d_model},
          {"n_inner", spec.ffn == 0 ? json(nullptr) : json(spec.ffn)},
          {"n_positions", spec.context},
          {"n_ctx", spec.context},
          {"vocab_size", spec.vocab},
          {"layer_norm_epsilon", 1e-5},
          {"initializer_range", 0.02},
          {"bos_token_id", spec.vocab - 1},
          {"eos_token_id", spec.vocab - 1},
          {"tie_word_embeddings", true},
          {"torch_dtype", spec.dtype == DType::f32   ? "float32"
                          : spec.dtype == DType::f16 ? "float16"
                                                     : "bfloat16"}};
}

// As GPT-2 was initialised: the projections into the residual stream are smaller, so that its
// variance does not grow with depth.
std::vector<OutputTensor> make_tensors(const RandomCheckpoint& spec, const ModelConfig& config) {
  const int64_t d = config.d_model, ffn = config.ffn_dim;
  const float residual = kStddev / std::sqrt(2.0F * static_cast<float>(spec.layers));
  TensorList list(spec.dtype, spec.seed);
  list.normal("transformer.wte.weight", {config.vocab_size, d}, kStddev);
  list.normal("transformer.wpe.weight", {config.context_length, d}, kStddev / 2);
  for (int l = 0; l < spec.layers; ++l) {
    const std::string name = fmt::format("transformer.h.{}.", l);
    list.constant(name + "ln_1.weight", {d}, 1);
    list.constant(name + "ln_1.bias", {d}, 0);
    list.normal(name + "attn.c_attn.weight", {d, 3 * d}, kStddev);
    list.constant(name + "attn.c_attn.bias", {3 * d}, 0);
    list.normal(name + "attn.c_proj.weight", {d, d}, residual);
    list.constant(name + "attn.c_proj.bias", {d}, 0);
    list.constant(name + "ln_2.weight", {d}, 1);
    list.constant(name + "ln_2.bias", {d}, 0);
    list.normal(name + "mlp.c_fc.weight", {d, ffn}, kStddev);
    list.constant(name + "mlp.c_fc.bias", {ffn}, 0);
    list.normal(name + "mlp.c_proj.weight", {ffn, d}, residual);
    list.constant(name + "mlp.c_proj.bias", {d}, 0);
  }
  list.constant("transformer.ln_f.weight", {d}, 1);
  list.constant("transformer.ln_f.bias", {d}, 0);
  return list.take();
}

}  // namespace

void write_random_checkpoint(const std::filesystem::path& folder, const RandomCheckpoint& spec) {
  if (spec.vocab < 257) {
    throw usage_error("--vocab {}: at least 257 (256 bytes and the end of text)", spec.vocab);
  }
  const json config = make_config(spec);
  const ModelConfig checked = parse_hf_config(config, "the requested shape");
  TokenizerFiles tokenizer = make_tokenizer(spec.vocab);
  CheckpointOutput output;
  output.tensors = make_tensors(spec, checked);
  output.config = &config;
  output.extra_files = {{"vocab.json", std::move(tokenizer.vocab_json)},
                        {"merges.txt", std::move(tokenizer.merges_txt)}};
  output.shards = spec.shards;
  write_checkpoint(folder, output);
}

}  // namespace sentinel
