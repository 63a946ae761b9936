#include "model/first_position.h"

#include <algorithm>
#include <vector>

#include "base/error.h"

namespace sentinel {

FirstPosition::FirstPosition(const DecoderContext& own, const UnprunedWeights* unpruned)
    : own_(own), unpruned_(unpruned) {
  if (!unpruned) return;
  unpruned_cache_ = std::make_unique<KvCache>(unpruned->packed, KvType::f32, 1, 1);
  const DecoderContext context{unpruned->checkpoint->config(), *unpruned->checkpoint,
                               unpruned->packed, own.kernels, own.pool};
  unpruned_workspace_ = std::make_unique<Workspace>(context, 1, unpruned_cache_->capacity());
  build_plan(unpruned->packed, HeadTable(context.config), plan_);
  plan_.version = 0;  // of the model's table: consent is not looked at yet
}

// A head without consent adds nothing, but its keys and values are computed: it may come back.
void FirstPosition::apply_consent(const HeadTable& heads) {
  if (plan_.version == heads.version()) return;
  for (int l = 0; l < heads.n_layers(); ++l) {
    const std::vector<int>& ids = unpruned_->checkpoint->config().layers[l].head_ids;
    for (int h = 0; h < heads.n_heads(l); ++h) {
      const auto at = std::lower_bound(ids.begin(), ids.end(), own_.config.layers[l].head_ids[h]);
      plan_.layers[l].heads[at - ids.begin()].factor = heads.status({l, h}).consent ? 1.0F : 0.0F;
    }
  }
  plan_.version = heads.version();
}

// Every head open that may be: whatever is closed for the positions behind.
void FirstPosition::refresh_plan(const HeadTable& heads, KvCache& cache) {
  if (plan_.version == heads.version()) return;
  HeadTable open(own_.config);
  for (int l = 0; l < heads.n_layers(); ++l) {
    for (int h = 0; h < heads.n_heads(l); ++h) {
      if (!heads.status({l, h}).consent) open.set_consent({l, h}, false);
    }
  }
  build_plan(own_.weights, open, plan_, nullptr, own_.leaves_holes);
  plan_.version = heads.version();
  for (const LayerPlan& layer : plan_.layers) {
    if (layer.keeps_inputs) cache.prepare_inputs();
  }
}

void FirstPosition::run(const HeadTable& heads, KvCache& cache, Workspace& workspace, int sequence,
                        int32_t token) {
  if (!unpruned_) {
    refresh_plan(heads, cache);
    const RowGroup group{sequence, 0, 1, 0};
    Decoder(own_).forward(plan_, cache, workspace, {&group, 1}, &token, nullptr);
    return;
  }
  const DecoderContext context{unpruned_->checkpoint->config(), *unpruned_->checkpoint,
                               unpruned_->packed, own_.kernels, own_.pool};
  apply_consent(heads);
  const RowGroup group{0, 0, 1, 0};
  unpruned_cache_->truncate(0, 0);
  Decoder(context).forward(plan_, *unpruned_cache_, *unpruned_workspace_, {&group, 1}, &token,
                           nullptr);
  std::copy_n(unpruned_workspace_->x, own_.config.d_model, workspace.x);
  copy_keys_values(cache, sequence);
}

// A kept head's keys and values of position 0 depend on nothing but its unchanged projections.
void FirstPosition::copy_keys_values(KvCache& cache, int sequence) {
  const int d = own_.weights.head_dim_padded;
  std::vector<float> k(static_cast<size_t>(d)), v(static_cast<size_t>(d));
  for (int l = 0; l < own_.config.n_layers; ++l) {
    const std::vector<int>& ids = unpruned_->checkpoint->config().layers[l].head_ids;
    const PackedLayer& from = unpruned_->packed.layers[l];
    for (int h = 0; h < own_.config.layers[l].n_heads; ++h) {
      const int slot = own_.weights.layers[l].slot_of_head[h];
      if (slot < 0) continue;
      const auto at = std::lower_bound(ids.begin(), ids.end(), own_.config.layers[l].head_ids[h]);
      const int from_slot = from.slot_of_head[at - ids.begin()];
      const auto* keys = reinterpret_cast<const float*>(unpruned_cache_->keys(0, l, from_slot));
      const std::byte* values = unpruned_cache_->values(0, l, from_slot);
      for (int e = 0; e < d; ++e) k[e] = keys[e * kPanel];
      for (int p = 0; p < d / kPanel; ++p) {
        std::copy_n(
            reinterpret_cast<const float*>(values + p * unpruned_cache_->value_panel_stride()),
            kPanel, v.data() + p * kPanel);
      }
      cache.append(own_.kernels, sequence, l, slot, 0, 1, k.data(), v.data(), d);
    }
  }
}

void check_same_family(const ModelConfig& unpruned, const ModelConfig& pruned) {
  bool same = unpruned.family == pruned.family && unpruned.n_layers == pruned.n_layers &&
              unpruned.d_model == pruned.d_model && unpruned.head_dim == pruned.head_dim &&
              unpruned.n_heads == pruned.n_heads && unpruned.vocab_size == pruned.vocab_size &&
              unpruned.context_length == pruned.context_length;
  for (int l = 0; same && l < pruned.n_layers; ++l) {
    const auto& all = unpruned.layers[l].head_ids;
    for (const int id : pruned.layers[l].head_ids) {
      same = same && std::binary_search(all.begin(), all.end(), id);
    }
  }
  if (!same) {
    throw usage_error(
        "unpruned model: the other model is not the one that this model was pruned "
        "from; name the unpruned model");
  }
}

}  // namespace sentinel
