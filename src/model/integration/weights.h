// Fitted weights of the integration points (docs/agency.md): what a pruned model takes over from
// its baseline's hidden states and, across the network, from its own early ones.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "model/config.h"

namespace sentinel {

// x <- keep x + take s + shift feature by feature, s another hidden state. Empty: no such point.
struct FeatureMix {
  std::vector<float> keep, take, shift;  // [d_model]

  bool empty() const { return keep.empty(); }
};
// x [mix.keep.size()] in place.
void apply_mix(const FeatureMix& mix, const float* other, float* x);

// Both points lie behind a decoder layer's attention, the baseline's first.
struct IntegrationLayer {
  FeatureMix baseline;  // s: the output of the baseline's same layer
  FeatureMix skip;      // s: the input of layer n_layers - 1 - i
};
using IntegrationSet = std::vector<IntegrationLayer>;  // [n_layers]; empty: not fitted

// A set belongs to the points that run: weights fitted for one point alone are not those that are
// best beside the other.
struct IntegrationWeights {
  IntegrationSet unet, mix, both;

  const IntegrationSet& set(bool with_mix, bool with_unet) const {
    return with_mix ? (with_unet ? both : mix) : unet;
  }
};

// Layers from n_layers / 2 on are decoder layers; the layer that one takes its skip from, or -1
// (the middle one of an odd number has none).
int skip_source(int n_layers, int layer);

constexpr const char* kIntegrationFile = "sentinel_integration.safetensors";

// The bytes of a safetensors file.
std::string integration_bytes(const IntegrationWeights& weights);
// Strict: known names, whole triples of [d_model] finite f32, decoder layers only. Error
// (bad_input) begins with `where`.
IntegrationWeights parse_integration(std::span<const std::byte> file, const ModelConfig& config,
                                     const std::string& where);
// Of a model's folder; null when it has none.
std::shared_ptr<const IntegrationWeights> find_integration(const std::filesystem::path& folder,
                                                           const ModelConfig& config);

// The set that runs. Error (usage): `weights` null or without it, or of another shape than the
// model.
const IntegrationSet& require_set(const IntegrationWeights* weights, bool with_mix, bool with_unet,
                                  const ModelConfig& config);

}  // namespace sentinel
