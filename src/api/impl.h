// What stands behind the public classes.
#pragma once

#include <memory>

#include "app/controller/steering.h"
#include "app/generate/verified_text.h"
#include "model/agency/head_means.h"
#include "model/agency/performance.h"
#include "model/checkpoint/checkpoint.h"
#include "model/model.h"
#include "model/tokenizer/tokenizer.h"
#include "sentinel/model.h"

namespace sentinel {

struct BaselineModel::Impl {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const Tokenizer> tokenizer;  // null: token ids only
};

struct AdaptiveModel::Impl {
  BaselineModel baseline;
  std::unique_ptr<Model> model;    // has the heads
  std::unique_ptr<Model> decider;  // with verify: what `model` drafts for; else null
  VerifyOptions verify;
  std::shared_ptr<const HeadMeans> head_means{};  // null: closed heads leave nothing
  // Shared with a generation that runs: its on_token may change them.
  std::shared_ptr<Steering> controller{};   // null: none
  std::shared_ptr<OperationTimer> timer{};  // null: nothing is timed

  // Whose text, logits and perplexity are the model's.
  Model& output() const { return decider ? *decider : *model; }
  const Checkpoint& checkpoint() const { return *baseline.impl().checkpoint; }
};

// Error (usage) when the model came without one.
const Tokenizer& require_tokenizer(const BaselineModel::Impl& impl);

}  // namespace sentinel
