// The pruning comparison's models with their kept heads refitted (`profile --recover`).
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/prune/recovery.h"
#include "model/checkpoint/checkpoint.h"
#include "model/model.h"

namespace sentinel {

struct RecoveredModels {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::vector<int32_t> tokens;  // of the calibration text
  Recover recover = Recover::none;
  int threads = 0;
  std::string isa;
  const std::atomic<bool>* cancel = nullptr;

  // A checkpoint of the source's shape whose heads are the source's, except that Wo of those that
  // are not in `removed`, W_down and the biases are what the recovery leaves. With `removed`
  // closed it computes what `sentinel prune` would have written. Error as Pruner.
  std::shared_ptr<const Checkpoint> without(const std::vector<HeadId>& removed) const;
};

}  // namespace sentinel
