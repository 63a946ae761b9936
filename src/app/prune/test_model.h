// The bundled model and text, for tests.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/files.h"
#include "model/checkpoint/checkpoint.h"
#include "model/tokenizer/tokenizer.h"

#ifndef SENTINEL_SOURCE_DIR  // which the build sets for tests
#define SENTINEL_SOURCE_DIR "."
#endif

namespace sentinel {

inline std::shared_ptr<const Checkpoint> mini() {
  static const auto checkpoint =
      Checkpoint::open(std::string(SENTINEL_SOURCE_DIR) + "/models/sentinel-mini");
  return checkpoint;
}

// Token ids of the first `bytes` of the calibration text.
inline std::vector<int32_t> calibration_tokens(size_t bytes) {
  return Tokenizer::load(mini()->folder())
      ->encode(
          read_file(std::string(SENTINEL_SOURCE_DIR) + "/texts/calibration.txt").substr(0, bytes));
}

}  // namespace sentinel
