// One pass of the dense model over calibration windows: moments of what Wo and W_down multiply,
// attention entropy, and the norms of each head's contribution.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "app/prune/moments.h"
#include "app/prune/sublayer.h"
#include "model/agency/head_means.h"

namespace sentinel {

// Symmetric moments without targets; f32, upper triangle row by row: [n (n + 1) / 2].
struct PackedMoments {
  int n = 0;
  std::vector<float> mean;  // [n]
  std::vector<float> upper;

  static PackedMoments pack(const Moments& moments);
  Moments unpack() const;
};

struct LayerStats {
  PackedMoments attention;          // [n_heads * head_dim]; n is 0 if it was not kept
  PackedMoments ffn;                // [ffn_dim]; n is 0 if it was not kept
  std::vector<double> entropy;      // [n_heads] mean nats of the rows that see n >= 2 keys
  std::vector<double> utilization;  // [n_heads] mean of 1 - H / ln n
  std::vector<double> output;       // [n_heads] mean L2 norm of Wo_h context_h
};

struct CalibrationStats {
  std::string model_sha256;  // model_fingerprint()
  std::string text_sha256;
  int64_t tokens = 0;  // rows that count; position 0 of every window is left out
  int window = 0;
  std::vector<LayerStats> layers;
};

// Of a text that heads are ranked or weights refitted on: what fewer tokens say is chance.
inline constexpr size_t kMinCalibrationTokens = 64;
// Error (usage) that names the text where it has fewer.
void check_calibration(const std::string& name, size_t tokens);

using StatsProgress = std::function<void(int done, int total)>;

struct StatsOptions {
  bool attention = true;              // what LayerStats says of the heads
  bool ffn = true;                    // FFN moments
  bool moments = true;                // false: of the heads entropy, utilisation and output alone
  WeightType type = WeightType::f32;  // that the stream is computed with
  const std::atomic<bool>* cancel = nullptr;
};

// sha256 over the configuration and every weight.
std::string model_fingerprint(const Checkpoint& checkpoint);

// Error (interrupted). model_sha256 and text_sha256 are the caller's to fill in.
CalibrationStats collect_stats(std::shared_ptr<const Checkpoint> checkpoint,
                               const TokenWindows& windows, const StatsOptions& options,
                               SublayerRunner& runner, const StatsProgress& progress = nullptr);

// A safetensors file with the fingerprints in a folder's config.json (checkpoint/writer.h).
// `folder` must not exist.
void save_stats(const std::filesystem::path& folder, const CalibrationStats& stats);
// Error (bad_input): broken, or of another model or text than the given ones (empty: any text).
CalibrationStats load_stats(const std::filesystem::path& folder, const ModelConfig& config,
                            const std::string& model_sha256, const std::string& text_sha256);
// What closed heads leave behind, from such a folder. Error (bad_input) as load_stats().
std::shared_ptr<const HeadMeans> load_head_means(const std::filesystem::path& folder,
                                                 const Checkpoint& checkpoint);

}  // namespace sentinel
