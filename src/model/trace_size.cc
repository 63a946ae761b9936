#include "model/trace_size.h"

#include <cmath>

#include "model/fast_model.h"

namespace sentinel {

double prompt_passes(int64_t tokens) {
  // One more for a first position that is computed apart.
  return 1 + std::ceil(static_cast<double>(tokens) / kPrefillChunk);
}

double trace_events(const Model& model, double passes, double rows) {
  const bool one_by_one = !model.info().kv_cache;
  double events = 2 * kOps;
  for (const LayerConfig& layer : model.config().layers) {
    events += 2 * kOps;
    if (one_by_one) events += 3 * rows + 2.0 * layer.n_heads;
  }
  return passes * events;
}

}  // namespace sentinel
