#include "model/model.h"

#include "base/error.h"
#include "model/fast_model.h"
#include "model/reference/reference_model.h"

namespace sentinel {

std::unique_ptr<Model> Model::create(std::shared_ptr<const Checkpoint> checkpoint,
                                     const ModelOptions& options) {
  if (options.level < 0 || options.level > 3) {
    throw usage_error("optimization_level: {} does not exist; choose 0, 1, 2 or 3", options.level);
  }
  if (options.level == 0) return make_reference_model(std::move(checkpoint), options);
  return make_fast_model(std::move(checkpoint), options);
}

}  // namespace sentinel
