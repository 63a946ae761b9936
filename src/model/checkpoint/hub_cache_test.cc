#include "model/checkpoint/hub_cache.h"

#include "model/checkpoint/checkpoint_test_util.h"
#include "model/checkpoint/model_location.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;
using test::expect_error;
using test::write_bytes;

constexpr const char* kCommit = "607a30d783dfa663caf39e06633721c8d4cfcd7e";

TEST(HubCacheFolder, FirstVariableThatIsSetDecides) {
  HubEnvironment all{.hf_hub_cache = "/a",
                     .huggingface_hub_cache = "/b",
                     .hf_home = "/c",
                     .xdg_cache_home = "/d",
                     .home = "/e"};
  EXPECT_EQ(hub_cache_folder(all), "/a");
  all.hf_hub_cache = "~/cache";
  EXPECT_EQ(hub_cache_folder(all), "/e/cache");
  all.hf_hub_cache = "";
  EXPECT_EQ(hub_cache_folder(all), "/b");
  all.huggingface_hub_cache = "";
  EXPECT_EQ(hub_cache_folder(all), "/c/hub");
  all.hf_home = "";
  EXPECT_EQ(hub_cache_folder(all), "/d/huggingface/hub");
  all.xdg_cache_home = "";
  EXPECT_EQ(hub_cache_folder(all), "/e/.cache/huggingface/hub");
  all.home = "";
  EXPECT_TRUE(hub_cache_folder(all).empty());
}

TEST(HubName, IsOneOrTwoPlainParts) {
  for (const char* name : {"gpt2", "openai-community/gpt2", "a.b/c_d", "gpt2@main", "a/b@v1.0"}) {
    EXPECT_TRUE(is_hub_name(name)) << name;
  }
  for (const char* name : {"", "/gpt2", "a/b/c", "../gpt2", "./gpt2", "a/", "gpt2@", "gpt2@../x",
                           "a b", "a/..", "~/x", "gpt2@a/b", "a\nb"}) {
    EXPECT_FALSE(is_hub_name(name)) << name;
  }
}

class HubCacheTest : public test::FolderTest {
 protected:
  // A snapshot as the hub library lays it out: links to blobs.
  fs::path add_snapshot(const std::string& model, const std::string& commit) {
    const fs::path snapshot = folder_ / model / "snapshots" / commit;
    fs::create_directories(snapshot);
    test::write_model(folder_ / model / "blobs", test::tiny_config(), test::tiny_tensors());
    for (const char* name : {"config.json", "model.safetensors"}) {
      fs::create_symlink(fs::path("../../blobs") / name, snapshot / name);
    }
    return snapshot;
  }
  void add_ref(const std::string& model, const std::string& ref, const std::string& commit) {
    write_bytes(folder_ / model / "refs" / ref, commit);
  }
  ModelLocation locate(const std::string& name) { return locate_model(name, environment_); }
  void refused(const std::string& name, const std::vector<std::string>& parts) {
    expect_error(ErrorKind::bad_input, parts, [&] { locate(name); });
  }

  HubEnvironment environment_{.hf_hub_cache = folder_.string()};
};

TEST_F(HubCacheTest, FindsASnapshotByItsRef) {
  const fs::path snapshot = add_snapshot("models--org--tiny", kCommit);
  add_snapshot("models--org--tiny", "older");
  add_ref("models--org--tiny", "main", std::string(kCommit) + "\n");
  const ModelLocation location = locate("org/tiny");
  EXPECT_EQ(location.folder, snapshot);
  EXPECT_EQ(location.config, snapshot / "config.json");
  EXPECT_EQ(location.weights, std::vector<fs::path>{snapshot / "model.safetensors"});
  EXPECT_TRUE(location.index.empty());
  EXPECT_EQ(location.origin, "hub cache: org/tiny -> " + snapshot.string());
}

TEST_F(HubCacheTest, FindsRevisionsAndCommits) {
  const fs::path old_one = add_snapshot("models--org--tiny", "c0ffee");
  add_snapshot("models--org--tiny", kCommit);
  add_ref("models--org--tiny", "main", kCommit);
  add_ref("models--org--tiny", "v1", "c0ffee");
  EXPECT_EQ(locate("org/tiny@v1").folder, old_one);
  EXPECT_EQ(locate("org/tiny@c0ffee").folder, old_one);
  refused("org/tiny@v2", {"models--org--tiny", "\"v2\""});
}

TEST_F(HubCacheTest, OldAndNewNamesOfGpt2AreTheSame) {
  const fs::path legacy = add_snapshot("models--gpt2", kCommit);
  add_ref("models--gpt2", "main", kCommit);
  EXPECT_EQ(locate("gpt2").folder, legacy);
  EXPECT_EQ(locate("openai-community/gpt2").folder, legacy);
  const fs::path renamed = add_snapshot("models--openai-community--gpt2-xl", kCommit);
  add_ref("models--openai-community--gpt2-xl", "main", kCommit);
  EXPECT_EQ(locate("gpt2-xl").folder, renamed);
}

TEST_F(HubCacheTest, AFolderWithoutTheRevisionLeavesItToTheOtherName) {
  fs::create_directories(folder_ / "models--gpt2" / "refs");
  refused("gpt2", {"models--gpt2", "no snapshot"});
  const fs::path whole = add_snapshot("models--openai-community--gpt2", kCommit);
  add_ref("models--openai-community--gpt2", "main", kCommit);
  EXPECT_EQ(locate("gpt2").folder, whole);
}

TEST_F(HubCacheTest, WithoutRefsASingleSnapshotIsTaken) {
  const fs::path snapshot = add_snapshot("models--org--tiny", kCommit);
  EXPECT_EQ(locate("org/tiny").folder, snapshot);
  add_snapshot("models--org--tiny", "another");
  refused("org/tiny", {"models--org--tiny", "\"main\""});
}

TEST_F(HubCacheTest, BrokenCachesAreErrors) {
  const fs::path snapshot = add_snapshot("models--org--tiny", kCommit);
  add_ref("models--org--tiny", "main", "deadbeef");
  refused("org/tiny", {"models--org--tiny", "no snapshot"});
  add_ref("models--org--tiny", "main", "../../../../etc");
  refused("org/tiny", {"refs/main"});
  add_ref("models--org--tiny", "main", kCommit);
  fs::remove(folder_ / "models--org--tiny" / "blobs" / "model.safetensors");  // link to nothing
  refused("org/tiny", {snapshot.string(), "missing: model.safetensors"});
  fs::remove(snapshot / "config.json");
  refused("org/tiny", {"missing: config.json, model.safetensors"});
}

TEST_F(HubCacheTest, NotFoundSaysWhereItLooked) {
  refused("gpt2", {"gpt2: no such model", (folder_ / "models--gpt2").string(),
                   (folder_ / "models--openai-community--gpt2").string()});
  environment_ = {};
  refused("gpt2", {"gpt2: no such model", (fs::current_path() / "gpt2").string()});
}

}  // namespace
}  // namespace sentinel
