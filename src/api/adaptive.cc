#include "api/impl.h"
#include "api/level.h"
#include "base/error.h"
#include "model/agency/report.h"

namespace sentinel {
namespace {

ModelOptions model_options(const AdaptiveOptions& options) {
  if (options.device != "cpu") {
    throw usage_error("device: \"{}\" is not supported; the only one is cpu",
                      printable(options.device));
  }
  if (options.threads < 0 || options.threads > 1024) {
    throw usage_error("threads: {} is out of range; give a number from 1 to 1024, or 0 for all",
                      options.threads);
  }
  ModelOptions out;
  out.level = choose_optimization_level(options.optimization_level, "optimization_level");
  out.threads = options.threads;
  out.isa = options.isa;
  if (!options.weights.empty()) out.weights = parse_weight_type(options.weights);
  if (!options.lm_head.empty()) out.lm_head = parse_weight_type(options.lm_head);
  if (!options.kv.empty()) out.kv = parse_kv_type(options.kv);
  out.agency = parse_agency_mode(options.agency);
  out.agency_options = options.agency_options;
  out.protect_first = options.protect_first;
  return out;
}

void add_points(const AdaptiveOptions& options, const Checkpoint& checkpoint, ModelOptions& out) {
  if (options.baseline_integration != "off" && options.baseline_integration != "mix") {
    throw usage_error("baseline_integration: unknown value \"{}\"; choose one of off, mix",
                      printable(options.baseline_integration));
  }
  if (options.unet != "off" && options.unet != "on") {
    throw usage_error("unet: unknown value \"{}\"; choose one of off, on", printable(options.unet));
  }
  out.mix_baseline = options.baseline_integration == "mix";
  out.unet = options.unet == "on";
  if (out.mix_baseline || out.unet) {
    out.integration = find_integration(checkpoint.folder(), checkpoint.config());
  }
  if (!options.integration_baseline.empty()) {
    out.unpruned = Checkpoint::open(options.integration_baseline);
  }
}

}  // namespace

AdaptiveModel load_adaptive_model(const BaselineModel& baseline, const AdaptiveOptions& options) {
  ModelOptions engine = model_options(options);
  add_points(options, *baseline.impl().checkpoint, engine);
  auto model = Model::create(baseline.impl().checkpoint, engine);
  return AdaptiveModel(
      std::make_unique<AdaptiveModel::Impl>(AdaptiveModel::Impl{baseline, std::move(model)}));
}

AdaptiveModel::AdaptiveModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdaptiveModel::AdaptiveModel(AdaptiveModel&&) noexcept = default;
AdaptiveModel& AdaptiveModel::operator=(AdaptiveModel&&) noexcept = default;
AdaptiveModel::~AdaptiveModel() = default;

const BaselineModel& AdaptiveModel::baseline() const { return impl_->baseline; }
int AdaptiveModel::optimization_level() const { return impl_->model->info().level; }

RunInfo AdaptiveModel::info() const {
  const ModelInfo& info = impl_->model->info();
  RunInfo out;
  out.optimization_level = info.level;
  out.threads = info.threads;
  out.device = "cpu";
  out.isa = info.isa;
  out.weights = to_string(info.weights);
  out.lm_head = to_string(info.lm_head);
  out.kv = info.kv_cache ? to_string(info.kv) : "none";
  out.agency = to_string(info.agency);
  out.baseline_integration = info.mix_baseline ? "mix" : "off";
  out.unet = info.unet ? "on" : "off";
  out.kv_cache = info.kv_cache;
  out.weight_bytes = info.weight_bytes;
  out.kv_bytes_per_token = info.kv_bytes_per_token;
  out.heads = impl_->model->config().total_heads();
  out.heads_active = impl_->model->heads().active_count();
  return out;
}

bool AdaptiveModel::set_head_state(int layer, int head, HeadState state,
                                   std::optional<bool> consent) {
  return impl_->model->heads().set_state({layer, head}, state, consent);
}

bool AdaptiveModel::set_gate(int layer, int head, float gate) {
  return impl_->model->heads().set_gate({layer, head}, gate);
}

void AdaptiveModel::set_consent(int layer, int head, bool consent) {
  impl_->model->heads().set_consent({layer, head}, consent);
}

HeadStatus AdaptiveModel::head_status(int layer, int head) const {
  return impl_->model->heads().status({layer, head});
}

AgencyReport AdaptiveModel::get_agency_report() const {
  AgencyReport report = agency_report(impl_->model->heads());
  report_points(impl_->model->integration(), report);
  if (impl_->timer) report.performance_stats = impl_->timer->stats();
  return report;
}

std::vector<std::vector<int>> AdaptiveModel::get_gate_activity() const {
  return gate_activity(impl_->model->heads());
}

}  // namespace sentinel
