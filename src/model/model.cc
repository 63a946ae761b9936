#include "model/model.h"

#include "model/fast_model.h"
#include "model/reference/reference_model.h"

namespace sentinel {

std::unique_ptr<Model> Model::create(std::shared_ptr<const Checkpoint> checkpoint,
                                     const ModelOptions& options) {
  level_preset(options.level);  // refuses levels that do not exist
  if (options.level == 0) return make_reference_model(std::move(checkpoint), options);
  return make_fast_model(std::move(checkpoint), options);
}

}  // namespace sentinel
