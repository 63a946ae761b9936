// GPT-2 as Hugging Face transformers stores it.
#pragma once

#include "model/families/family.h"

namespace sentinel {

namespace gpt2 {
ModelConfig parse_config(const nlohmann::json& config, const std::string& where);
ModelView build_view(const ModelConfig& config, TensorSource& tensors);
bool is_ignored(std::string_view name);
std::vector<OutputTensor> output_tensors(const ModelConfig& config, const ModelView& view,
                                         const ModelConfig& shape, DType dtype);
}  // namespace gpt2

inline constexpr Family kGpt2 = {"gpt2",           "transformer.",   gpt2::parse_config,
                                 gpt2::build_view, gpt2::is_ignored, gpt2::output_tensors};

}  // namespace sentinel
