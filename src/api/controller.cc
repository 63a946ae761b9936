#include "api/controller_text.h"
#include "api/impl.h"
#include "base/error.h"

namespace sentinel {
namespace {

// With verify two models take turns, and the one with the heads does not write the text.
void refuse_verify(const AdaptiveModel::Impl& impl, const char* what) {
  if (!impl.decider) return;
  throw usage_error("{}: it follows the model that writes; with verify that is the baseline", what);
}

}  // namespace

void AdaptiveModel::set_controller(const ControllerOptions& options) {
  refuse_verify(*impl_, "controller");
  const Controller checks(options);  // before the text is looked at
  Steering::Measure measure;
  if (!options.text.empty()) {
    measure = text_measure(*impl_->model, require_tokenizer(impl_->baseline.impl()), options);
  }
  auto controller = std::make_shared<Steering>(*impl_->model, options, std::move(measure));
  clear_controller();
  impl_->controller = std::move(controller);
}

void AdaptiveModel::clear_controller() {
  if (impl_->controller) impl_->controller->release();
  impl_->controller.reset();
}

std::optional<ControllerReport> AdaptiveModel::controller_report() const {
  if (!impl_->controller) return std::nullopt;
  return impl_->controller->report();
}

void AdaptiveModel::set_timing(bool on) {
  if (on) refuse_verify(*impl_, "timing");
  impl_->timer = on ? std::make_shared<OperationTimer>(*impl_->model) : nullptr;
}

}  // namespace sentinel
