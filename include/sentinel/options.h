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
  std::optional<int> optimization_level = {};
  std::string device = "cpu";  // the only one
  int threads = 0;             // 0: all cores this process may use
  std::string isa = {};        // "scalar", "avx2", "avx512", "amx"; empty: SENTINEL_ISA, else best
  std::string weights = {};    // "f32", "bf16", "int8", "int6", "int4", of the layers
  std::string lm_head = {};    // the same for the output matrix
  std::string kv = {};         // "f32", "bf16", "int8"
  std::string agency = {};     // "off", "track", "auto"; empty: "track", at level 3 "off"
  AgencyOptions agency_options = {};  // for "auto"
  // What becomes of the positions that a head missed while it was off: "exact", they are computed
  // when it returns; "hole", it never sees them (an approximation that keeps no inputs for it).
  std::string kv_return = "exact";
  bool protect_first = false;  // position 0 is computed with all heads that have consent
  // Folder of calibration statistics (`sentinel prune --save_stats`, PruningOptions::save_stats):
  // a head that is closed by 1 - f leaves (1 - f) of its mean output behind. Empty: nothing.
  std::string head_means = {};
  // "off", "mix": fitted weights beside the model (`sentinel prune --fit_integration`) take over
  // from the hidden states of the dense model; or "verify": the model drafts, the dense model
  // decides. Then generated text, logits and perplexity are the dense model's at the level asked
  // for, text arrives faster, and heads, pruning and saving concern the model that drafts.
  std::string baseline_integration = "off";
  // The dense model: for "mix" the one that this was pruned from; for "verify" the one that
  // decides, empty: the same model with all heads open.
  std::string integration_baseline = {};
  std::string draft_weights = {};  // verify; empty: one size below the level's
  int draft_length = 0;            // verify: tokens to draft, 1 to 8; 0: what pays
  bool draft_ngrams = true;        // verify: repetitions in the text are drafts too
  std::string unet = "off";        // "on": fitted skips from early to late layers
};

// Read back from the model.
struct RunInfo {
  int optimization_level = 0;
  int threads = 0;
  std::string device, isa, weights, lm_head, kv, agency;
  std::string kv_return;                   // "exact", "hole"
  bool head_means = false;                 // closed heads leave their mean
  bool protect_first = false;              // position 0 is computed with every head
  std::string baseline_integration, unet;  // "off", "mix", "verify"; "off", "on"
  std::string draft_weights;               // with verify; else empty
  bool kv_cache = true;                    // level 0 recomputes the whole sequence for every token
  int64_t weight_bytes = 0;                // of both models with verify
  int64_t kv_bytes_per_token = 0;
  int heads = 0;         // present
  int heads_active = 0;  // contributing as they are set now
};

}  // namespace sentinel
