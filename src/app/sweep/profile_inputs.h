// Everything a profiler run reads, opened and checked before anything is written.
#pragma once

#include <atomic>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "app/eval/eval.h"
#include "app/sweep/profile_options.h"
#include "app/sweep/prompts.h"
#include "model/checkpoint/checkpoint.h"
#include "model/tokenizer/tokenizer.h"

namespace sentinel {

struct TokenizedText {
  std::string path, sha256;
  std::vector<int32_t> tokens;
};

struct ProfileInputs {
  std::string model;  // as options.model_name, the bundled model's folder when that is empty
  std::shared_ptr<const Checkpoint> checkpoint;
  std::unique_ptr<Tokenizer> tokenizer;
  TokenizedText text;
  TokenizedText calibration;    // empty unless the strategy calibrates; at most 8 full windows
  TokenizedText recovery;       // empty unless --recover fits to it
  TokenizedText integration;    // empty unless integration points are fitted to it
  std::vector<Prompt> prompts;  // [batch_size]
  std::vector<Prompt> throughput_prompts;  // empty without that test
  std::vector<std::string> warnings;       // of texts that are too short to say much
};

// Error (usage, bad_input): a file is missing or wrong, or prompt and new tokens exceed the
// context.
ProfileInputs open_inputs(const ProfileOptions& options);

// SHA-256 of what was read, by what it is, so that a run that goes on can tell whether it is still
// the same. Of the weights a part of every tensor counts: to read them all takes as long as to load
// them.
nlohmann::json fingerprints(const ProfileInputs& inputs,
                            const std::vector<ProfileInputs>& compared);

// How a run measures quality.
EvalOptions eval_options(const ProfileOptions& options, const ProfileInputs& inputs,
                         const std::atomic<bool>* cancel);

}  // namespace sentinel
