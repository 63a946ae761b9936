#include "model/families/gpt2.h"

#include <cmath>

#include "model/checkpoint/checkpoint_test_util.h"
#include "model/checkpoint/hf_config.h"
#include "model/families/config_reader.h"

namespace sentinel {
namespace {
using nlohmann::json;
using test::expect_error;
using test::tiny_config;

ModelConfig parse(const json& config) { return parse_hf_config(config, "config.json"); }

// tiny_config() with one key changed.
json with(const char* key, const json& value) {
  json config = tiny_config();
  config[key] = value;
  return config;
}

void refused(const json& config, std::vector<std::string> parts) {
  parts.emplace_back("config.json");
  expect_error(ErrorKind::bad_input, parts, [&] { parse(config); });
}

TEST(Gpt2Config, ReadsSizesAndDefaults) {
  json plain = tiny_config();
  plain.erase("n_inner");
  const ModelConfig config = parse(plain);
  EXPECT_EQ(config.family, "gpt2");
  EXPECT_EQ(config.n_layers, 2);
  EXPECT_EQ(config.d_model, 4);
  EXPECT_EQ(config.head_dim, 2);
  EXPECT_EQ(config.n_heads, 2);
  EXPECT_EQ(config.ffn_dim, 16);
  EXPECT_EQ(config.vocab_size, 5);
  EXPECT_EQ(config.context_length, 3);
  EXPECT_EQ(config.norm_epsilon, 1e-5F);
  EXPECT_EQ(config.activation, Activation::gelu_tanh);
  EXPECT_TRUE(config.tied_lm_head);
  EXPECT_EQ(config.eos_token, -1);
  ASSERT_EQ(config.layers.size(), 2U);
  EXPECT_EQ(config.layers[1].n_heads, 2);
  EXPECT_EQ(config.layers[1].ffn_dim, 16);
  EXPECT_EQ(config.layers[1].head_ids, (std::vector<int>{0, 1}));
  EXPECT_EQ(parse(with("n_inner", nullptr)).ffn_dim, 16);
  EXPECT_EQ(parse(with("n_inner", 7)).layers[0].ffn_dim, 7);
}

TEST(Gpt2Config, LevelsMayHoldWeightsWider) {
  const auto weights = [](const json& of_levels) {
    return with("sentinel", {{"weights", of_levels}});
  };
  const ModelConfig config = parse(weights({{"2", "bf16"}, {"3", "int8"}}));
  EXPECT_EQ(config.weights_of_level[2], WeightType::bf16);
  EXPECT_EQ(config.weights_of_level[3], WeightType::int8);
  EXPECT_EQ(parse(weights({{"3", "int6"}})).weights_of_level[3], WeightType::int6);
  EXPECT_FALSE(parse(tiny_config()).weights_of_level[2]);
  const json broken[] = {"int8",          {{"1", "bf16"}}, {{"3", "int4"}},
                         {{"2", "int8"}}, {{"2", "int6"}}, {{"2", 8}}};
  for (const json& of_levels : broken) refused(weights(of_levels), {"sentinel.weights"});
}

TEST(Gpt2Config, KnowsItsActivations) {
  for (const char* name : {"gelu_new", "gelu_pytorch_tanh", "gelu_fast"}) {
    EXPECT_EQ(parse(with("activation_function", name)).activation, Activation::gelu_tanh);
  }
  EXPECT_EQ(parse(with("activation_function", "gelu")).activation, Activation::gelu_erf);
  EXPECT_EQ(parse(with("activation_function", "relu")).activation, Activation::relu);
  refused(with("activation_function", "silu"), {"\"silu\"", "gelu_new"});
  refused(with("activation_function", 3), {"activation_function"});
}

TEST(Gpt2Config, AttentionScales) {
  const float scale = 1 / std::sqrt(2.0F);
  EXPECT_EQ(parse(tiny_config()).attention_scale, (std::vector<float>{scale, scale}));
  EXPECT_EQ(parse(with("scale_attn_weights", false)).attention_scale, (std::vector<float>{1, 1}));
  EXPECT_EQ(parse(with("scale_attn_by_inverse_layer_idx", true)).attention_scale,
            (std::vector<float>{scale, scale / 2}));
}

TEST(Gpt2Config, EndOfTextIsANumberAListOrNothing) {
  EXPECT_EQ(parse(with("eos_token_id", 4)).eos_token, 4);
  EXPECT_EQ(parse(with("eos_token_id", {3, 1})).eos_token, 3);
  EXPECT_EQ(parse(with("eos_token_id", json::array())).eos_token, -1);
  EXPECT_EQ(parse(with("eos_token_id", nullptr)).eos_token, -1);
  EXPECT_EQ(parse(with("eos_token_id", 50256)).eos_token, -1);  // not in the vocabulary
  refused(with("eos_token_id", "x"), {"eos_token_id"});
  refused(with("eos_token_id", {2.5}), {"eos_token_id"});
}

TEST(Gpt2Config, RefusesSizesThatMakeNoSense) {
  for (const char* key : {"n_layer", "n_head", "n_embd", "n_positions", "vocab_size"}) {
    json missing = tiny_config();
    missing.erase(key);
    refused(missing, {key, "missing"});
    for (const json& bad : {json(0), json(-1), json(1e9), json(2.5), json("2"), json(true),
                            json(uint64_t{1} << 63), json(INT64_MIN), json::array({2})}) {
      refused(with(key, bad), {key});
    }
  }
  EXPECT_EQ(parse(with("n_layer", 1000)).n_layers, 1000);
  refused(with("n_layer", 1001), {"1001"});
  refused(with("n_embd", 65540), {"65540"});
  refused(with("n_embd", 5), {"n_embd 5", "n_head 2"});
  refused(with("n_inner", 0), {"n_inner"});
  refused(with("layer_norm_epsilon", -1), {"layer_norm_epsilon"});
  refused(with("layer_norm_epsilon", "small"), {"layer_norm_epsilon"});
  refused(with("tie_word_embeddings", 1), {"tie_word_embeddings"});
  refused(with("add_cross_attention", true), {"add_cross_attention"});
}

TEST(Gpt2Config, RefusesUnknownFamilies) {
  refused(with("model_type", "bert"), {"\"bert\"", "known: gpt2"});
  refused(with("model_type", 3), {"model_type"});
  json missing = tiny_config();
  missing.erase("model_type");
  refused(missing, {"no \"model_type\"", "gpt2"});
  refused(json::array(), {"not a JSON object"});
}

TEST(Gpt2Config, PrunedHeadsLeaveTheOthers) {
  const json pruned = {{"0", {1}}, {"1", {1, 0}}};
  const ModelConfig config = parse(with("pruned_heads", pruned));
  EXPECT_EQ(config.layers[0].head_ids, (std::vector<int>{0}));
  EXPECT_EQ(config.layers[0].n_heads, 1);
  EXPECT_EQ(config.layers[1].n_heads, 0);
  EXPECT_EQ(config.n_heads, 2);
  EXPECT_EQ(config.total_heads(), 1);
  EXPECT_EQ(config.head_dim, 2);
  EXPECT_EQ(parse(with("pruned_heads", json::object())).total_heads(), 4);
  refused(with("pruned_heads", json::array()), {"pruned_heads"});
  refused(with("pruned_heads", {{"2", {0}}}), {"pruned_heads", "\"2\""});
  refused(with("pruned_heads", {{"-1", {0}}}), {"\"-1\""});
  refused(with("pruned_heads", {{"1x", {0}}}), {"\"1x\""});
  refused(with("pruned_heads", {{"1", {0}}, {"01", {1}}}), {"pruned_heads"});
  refused(with("pruned_heads", {{"0", {2}}}), {"layer 0", "2"});
  refused(with("pruned_heads", {{"0", {1, 1}}}), {"layer 0"});
  refused(with("pruned_heads", {{"0", 1}}), {"layer 0"});
}

TEST(Gpt2Config, FfnWidthPerLayer) {
  const ModelConfig config = parse(with("sentinel", {{"ffn_dims", {0, 5}}, {"note", "kept"}}));
  EXPECT_EQ(config.ffn_dim, 8);
  EXPECT_EQ(config.layers[0].ffn_dim, 0);
  EXPECT_EQ(config.layers[1].ffn_dim, 5);
  EXPECT_EQ(parse(with("sentinel", json::object())).layers[0].ffn_dim, 8);
  refused(with("sentinel", 1), {"sentinel"});
  refused(with("sentinel", {{"ffn_dims", {8}}}), {"ffn_dims", "2 numbers"});
  refused(with("sentinel", {{"ffn_dims", {8, 9}}}), {"layer 1", "9"});
  refused(with("sentinel", {{"ffn_dims", {-1, 8}}}), {"layer 0", "-1"});
}

TEST(Gpt2Config, OnlyMaskBuffersAreIgnored) {
  EXPECT_TRUE(gpt2::is_ignored("h.0.attn.bias"));
  EXPECT_TRUE(gpt2::is_ignored("h.11.attn.masked_bias"));
  for (const char* name : {"h.0.attn.c_attn.bias", "h..attn.bias", "h.x.attn.bias", "attn.bias",
                           "h.0.attn.biases", "h.", "", "h.12"}) {
    EXPECT_FALSE(gpt2::is_ignored(name)) << name;
  }
}

}  // namespace
}  // namespace sentinel
