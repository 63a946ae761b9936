// What may be asked of an adaptive model, and what it then really runs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "sentinel/agency.h"

namespace sentinel {

// What is left empty follows from the level (`sentinel info --levels` prints the table).
struct AdaptiveOptions {
  // 0 reference, 1 default, 2 aggressive, 3 extreme. Empty: the environment's OPTIMIZATION_LEVEL,
  // and if that is not set 1.
  std::optional<int> optimization_level;
  std::string device = "cpu";  // the only one
  int threads = 0;             // 0: all cores this process may use
  std::string isa;             // "scalar", "avx2", "avx512", "amx"; empty: SENTINEL_ISA, else best
  std::string weights;         // "f32", "bf16", "int8", "int4", of the layers
  std::string lm_head;         // the same for the output matrix
  std::string kv;              // "f32", "bf16", "int8"
  std::string agency = "track";  // "off", "track" (at level 3: off), "auto"
  AgencyOptions agency_options;  // for "auto"
  bool protect_first = false;    // position 0 is computed with all heads that have consent
  // "off", or "mix": fitted weights beside the model (`sentinel prune --fit_integration`) take over
  // from the hidden states of `integration_baseline`, the dense model (empty: the model itself with
  // all heads open).
  std::string baseline_integration = "off";
  std::string integration_baseline;
  std::string unet = "off";  // "on": fitted skips from early to late layers
};

// Read back from the model.
struct RunInfo {
  int optimization_level = 0;
  int threads = 0;
  std::string device, isa, weights, lm_head, kv, agency;
  std::string baseline_integration, unet;  // "off", "mix"; "off", "on"
  bool kv_cache = true;                    // level 0 recomputes the whole sequence for every token
  int64_t weight_bytes = 0;
  int64_t kv_bytes_per_token = 0;
  int heads = 0;         // present
  int heads_active = 0;  // contributing as they are set now
};

}  // namespace sentinel
