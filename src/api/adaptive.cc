#include "api/impl.h"
#include "api/model_options.h"
#include "app/prune/calibration.h"
#include "base/error.h"
#include "model/agency/report.h"

namespace sentinel {
namespace {

void check_integration(const AdaptiveOptions& options, bool dense_given) {
  const std::string& integration = options.baseline_integration;
  const bool verify = integration == "verify";
  if (!verify && integration != "off" && integration != "mix") {
    throw usage_error("baseline_integration: unknown value \"{}\"; choose one of off, mix, verify",
                      printable(integration));
  }
  if (options.unet != "off" && options.unet != "on") {
    throw usage_error("unet: unknown value \"{}\"; choose one of off, on", printable(options.unet));
  }
  const bool drafts =
      !options.draft_weights.empty() || options.draft_length != 0 || !options.draft_ngrams;
  if (drafts && !verify) {
    throw usage_error(
        "draft_weights, draft_length and draft_ngrams belong to baseline_integration verify; give "
        "that too");
  }
  if (options.draft_length < 0 || options.draft_length > kMaxDraft) {
    throw usage_error("draft_length: {} is out of range; give 1 to {}, or 0 for what pays",
                      options.draft_length, kMaxDraft);
  }
  if (dense_given && !options.integration_baseline.empty()) {
    throw usage_error("integration_baseline: the dense model was given twice, as {} too",
                      printable(options.integration_baseline));
  }
}

// The checkpoint of the dense model that was named or given; null: neither.
std::shared_ptr<const Checkpoint> dense_checkpoint(const AdaptiveOptions& options,
                                                   const BaselineModel* dense) {
  if (dense) return dense->impl().checkpoint;
  if (options.integration_baseline.empty()) return nullptr;
  return Checkpoint::open(options.integration_baseline);
}

AdaptiveModel load(const BaselineModel& baseline, const AdaptiveOptions& options,
                   const BaselineModel* dense) {
  ModelOptions engine = model_options(options);
  check_integration(options, dense != nullptr);
  std::optional<WeightType> draft_weights;
  if (!options.draft_weights.empty())
    draft_weights = parse_weight_type(options.draft_weights, "draft_weights");
  const auto& checkpoint = baseline.impl().checkpoint;
  engine.mix_baseline = options.baseline_integration == "mix";
  engine.unet = options.unet == "on";
  if (engine.mix_baseline || engine.unet) {
    engine.integration = find_integration(checkpoint->folder(), checkpoint->config());
  }
  if (!options.head_means.empty()) {
    engine.head_means = load_head_means(options.head_means, *checkpoint);
  }
  const auto whole = dense_checkpoint(options, dense);
  if (engine.mix_baseline && engine.integration && !whole) {
    throw usage_error(
        "baseline_integration: mix needs the dense model that this one was pruned from; give it "
        "as integration_baseline");
  }
  AdaptiveModel::Impl impl{baseline, nullptr, nullptr, {}, engine.head_means};
  if (options.baseline_integration == "verify") {
    const VerifyModels models = verify_models(engine, draft_weights);
    impl.verify = {.ngrams = options.draft_ngrams, .draft_length = options.draft_length};
    impl.decider = Model::create(whole ? whole : checkpoint, models.baseline);
    impl.model = Model::create(checkpoint, models.draft);
    check_vocabularies(*impl.decider, impl.model.get());
  } else {
    engine.unpruned = whole;
    impl.model = Model::create(checkpoint, engine);
  }
  return AdaptiveModel(std::make_unique<AdaptiveModel::Impl>(std::move(impl)));
}

}  // namespace

AdaptiveModel load_adaptive_model(const BaselineModel& baseline, const AdaptiveOptions& options) {
  return load(baseline, options, nullptr);
}

AdaptiveModel load_adaptive_model(const BaselineModel& baseline, const AdaptiveOptions& options,
                                  const BaselineModel& dense) {
  return load(baseline, options, &dense);
}

AdaptiveModel::AdaptiveModel(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AdaptiveModel::AdaptiveModel(AdaptiveModel&&) noexcept = default;
AdaptiveModel& AdaptiveModel::operator=(AdaptiveModel&&) noexcept = default;
AdaptiveModel::~AdaptiveModel() = default;

const BaselineModel& AdaptiveModel::baseline() const { return impl_->baseline; }
int AdaptiveModel::optimization_level() const { return impl_->output().info().level; }

RunInfo AdaptiveModel::info() const {
  const ModelInfo &info = impl_->output().info(), &heads = impl_->model->info();
  RunInfo out;
  out.optimization_level = info.level;
  out.threads = info.threads;
  out.device = "cpu";
  out.isa = info.isa;
  out.weights = to_string(info.weights);
  out.lm_head = to_string(info.lm_head);
  out.kv = kv_cache_name(info);
  out.agency = to_string(heads.agency);
  out.kv_return = to_string(heads.kv_return);
  out.head_means = heads.head_means;
  out.protect_first = heads.protect_first;
  out.baseline_integration = impl_->decider ? "verify" : heads.mix_baseline ? "mix" : "off";
  if (impl_->decider) out.draft_weights = to_string(heads.weights);
  out.unet = heads.unet ? "on" : "off";
  out.kv_cache = info.kv_cache;
  out.weight_bytes = info.weight_bytes;
  out.kv_bytes_per_token = info.kv_bytes_per_token;
  if (impl_->decider) {
    out.weight_bytes += heads.weight_bytes;
    out.kv_bytes_per_token += heads.kv_bytes_per_token;
  }
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
