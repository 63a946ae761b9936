// Arithmetic of a forward pass: multiply-add operations x 2.
#pragma once

#include "model/agency/head_table.h"
#include "model/config.h"

namespace sentinel {

// Of the layers and lm_head, for one token that sees `context` positions, with the active heads.
double token_flops(const ModelConfig& config, const HeadTable& heads, int context);
// Of what follows a layer's attention, for one token.
double output_flops(const ModelConfig& config, const HeadTable& heads, int layer);
double lm_head_flops(const ModelConfig& config);

}  // namespace sentinel
