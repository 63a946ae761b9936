#include "model/model.h"

#include "model/fast_model.h"
#include "model/reference/reference_model.h"

namespace sentinel {

std::unique_ptr<Model> Model::create(std::shared_ptr<const Checkpoint> checkpoint,
                                     const ModelOptions& options) {
  check_options(options);
  if (options.level == 0) return make_reference_model(std::move(checkpoint), options);
  return make_fast_model(std::move(checkpoint), options);
}

}  // namespace sentinel
