#include "model/agency/preset.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace sentinel {
namespace {

ModelConfig two_layers(int second = 3) {
  ModelConfig config;
  config.n_layers = 2;
  config.layers = {{4, 8, {}}, {second, 8, {}}};
  return config;
}

class PresetFile : public testing::Test {
 protected:
  void SetUp() override {
    path_ = std::filesystem::temp_directory_path() /
            ("sentinel-preset-" + std::to_string(getpid()) + ".json");
  }
  void TearDown() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

TEST_F(PresetFile, SavedHeadsComeBack) {
  HeadTable table(two_layers());
  table.set_state({0, 1}, HeadState::withdrawn);
  table.set_state({1, 2}, HeadState::misaligned);
  table.set_gate({1, 0}, 0.25F);
  table.set_consent({0, 3}, false);
  Preset preset = preset_of(table, "quiet");
  EXPECT_EQ(preset.heads.size(), 4U);
  EXPECT_FALSE(to_json(preset).contains("measured"));  // nothing measured, nothing claimed
  preset.measured = PresetMeasurement{"v.txt", "ab", 5'000'000, 22.5, 20.25, 1, "f32", false};
  save_preset(path_, preset);
  const Preset read = load_preset(path_);
  EXPECT_EQ(to_json(read), to_json(preset));
  HeadTable other(two_layers());
  apply_preset(read, other);
  EXPECT_EQ(other.violation_count(), 0);
  for (int layer = 0; layer < 2; ++layer) {
    for (int head = 0; head < table.n_heads(layer); ++head) {
      EXPECT_EQ(other.factor({layer, head}), table.factor({layer, head}));
    }
  }
}

TEST_F(PresetFile, NeverOpensAgainstConsentAndFitsOneShape) {
  Preset preset = preset_of(HeadTable(two_layers()), "open");
  preset.heads = {{{0, 0}, HeadState::overloaded, 1, true}};
  HeadTable table(two_layers());
  table.set_consent({0, 0}, false);
  apply_preset(preset, table);
  EXPECT_FALSE(table.is_active({0, 0}));
  EXPECT_EQ(table.violation_count(), 1);
  HeadTable wider(two_layers(4));
  EXPECT_THROW(apply_preset(preset, wider), Error);
}

TEST_F(PresetFile, OfRemovedHeadsIsAppliedWhereItClosesThemElseNotAtAll) {
  HeadTable table(two_layers());
  table.set_gate({0, 0}, 0);
  table.remove({0, 0});
  Preset preset = preset_of(HeadTable(two_layers()), "closing");
  preset.heads = {{{0, 1}, HeadState::overloaded, 1, true},
                  {{0, 0}, HeadState::withdrawn, 1, true},  // its gate alone would open it
                  {{1, 0}, HeadState::active, 0.5F, true}};
  apply_preset(preset, table);
  EXPECT_FALSE(table.is_active({0, 0}));
  EXPECT_EQ(table.factor({0, 1}), 0.5F);
  EXPECT_EQ(table.factor({1, 0}), 0.5F);

  HeadTable other(two_layers());
  other.remove({0, 0});
  preset.heads[1].state = HeadState::active;
  EXPECT_THROW(apply_preset(preset, other), Error);
  EXPECT_EQ(other.factor({0, 1}), 1);
}

TEST_F(PresetFile, BrokenFilesAreRefused) {
  const nlohmann::json good = to_json(preset_of(HeadTable(two_layers()), "x"));
  const auto refused = [&](nlohmann::json document) {
    write_file_atomic(path_, document.dump());
    EXPECT_THROW(load_preset(path_), Error) << document;
  };
  refused(nlohmann::json::array());
  for (const char* key : {"format", "name", "heads_per_layer", "heads"}) {
    auto document = good;
    document.erase(key);
    refused(document);
    document[key] = 5;
    refused(document);
  }
  const nlohmann::json head = {
      {"layer", 0}, {"head", 1}, {"state", "active"}, {"gate", 0.5}, {"consent", true}};
  const nlohmann::json wrong = {
      {"layer", -1}, {"head", 1.5}, {"state", "asleep"}, {"gate", 2}, {"consent", "yes"}};
  for (const auto& [key, bad] : wrong.items()) {
    auto document = good;
    document["heads"] = {head};
    document["heads"][0][key] = bad;
    refused(document);
  }
  auto document = good;
  document["measured"] = {{"perplexity", "very good"}};
  refused(document);
}

}  // namespace
}  // namespace sentinel
