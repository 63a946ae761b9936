// What the heads were set to when each position of a sequence was computed. A position keeps it
// when heads change later: that is what a cache of keys and values does, and level 0 has none.
#pragma once

#include <cstdint>
#include <vector>

#include "model/agency/head_means.h"
#include "model/agency/head_table.h"
#include "model/reference/parameters.h"

namespace sentinel {
namespace reference {

class HeadHistory {
 public:
  // The heads as they are now, with what they add to the biases (`means` may be null), hold for the
  // positions up to `end`.
  void extend(const HeadTable& heads, const MeanOutputs* means,
              const std::vector<LayerParameters>& layers, int end);
  void truncate(int length) {
    if (length >= std::ssize(setting_)) return;
    setting_.resize(static_cast<size_t>(length));
    settings_.resize(setting_.empty() ? 0 : setting_.back() + 1);
  }

  float factor(int position, int layer, int64_t head) const {
    return at(position)[static_cast<size_t>(layer)].factors[static_cast<size_t>(head)];
  }
  // bo [d_model] with the means of heads that were not fully open.
  const std::vector<float>& bias(int position, int layer) const {
    return at(position)[static_cast<size_t>(layer)].bias;
  }

 private:
  struct LayerSetting {
    std::vector<float> factors;  // [n_heads]
    std::vector<float> bias;
  };
  struct Setting {
    uint64_t version;  // of the table
    std::vector<LayerSetting> layers;
  };
  const std::vector<LayerSetting>& at(int position) const {
    return settings_[setting_[static_cast<size_t>(position)]].layers;
  }

  std::vector<Setting> settings_;
  std::vector<size_t> setting_;  // of every position, ascending
};

}  // namespace reference
}  // namespace sentinel
