// Every kind of bad input: one clear line, exit code 2, nothing on stdout, nothing written.
#include <cstring>

#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;

// sentinel-mini by links, so that one file can be replaced.
class BrokenModel {
 public:
  BrokenModel() {
    for (const auto& entry : fs::directory_iterator(kMini)) {
      fs::create_symlink(entry.path(), folder_.path() / entry.path().filename());
    }
  }
  std::string path() const { return folder_.path().string(); }
  std::string original(const std::string& name) const { return read_all(kMini + "/" + name); }
  void replace(const std::string& name, const std::string& bytes) {
    remove(name);
    write_all(folder_.path() / name, bytes);
  }
  void remove(const std::string& name) { fs::remove(folder_.path() / name); }

  // Rewrites the header of model.safetensors.
  void change_header(const std::function<void(json&)>& change) {
    const std::string file = original("model.safetensors");
    uint64_t length = 0;
    std::memcpy(&length, file.data(), 8);
    json header = json::parse(file.substr(8, length));
    change(header);
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');
    const uint64_t new_length = text.size();
    replace("model.safetensors", std::string(reinterpret_cast<const char*>(&new_length), 8) + text +
                                     file.substr(8 + length));
  }

 private:
  TemporaryFolder folder_;
};

std::string generate_name(const json& header, const std::string& suffix) {
  for (const auto& [name, value] : header.items()) {
    if (name.ends_with(suffix)) return name;
  }
  throw std::runtime_error("no tensor " + suffix);
}

// Runs the command twice, plain and with --json, and checks what every failure has in common.
void expect_refused(std::vector<std::string> arguments, const std::string& kind,
                    const std::string& hint, const RunOptions& options = {}) {
  SCOPED_TRACE(hint);
  const Outcome plain = run(arguments, options);
  EXPECT_EQ(plain.exit_code, 2) << plain.err;
  EXPECT_EQ(plain.out, "");
  EXPECT_EQ(std::count(plain.err.begin(), plain.err.end(), '\n'), 1) << plain.err;
  EXPECT_TRUE(plain.err.starts_with("sentinel " + arguments[0] + ": ")) << plain.err;
  EXPECT_NE(plain.err.find(hint), std::string::npos) << plain.err;
  arguments.push_back("--json");
  const Outcome with_json = run(arguments, options);
  EXPECT_EQ(with_json.exit_code, 2);
  EXPECT_EQ(with_json.err, plain.err);
  ASSERT_NO_THROW(with_json.json()) << with_json.out;
  const json error = with_json.json().at("error");
  EXPECT_EQ(error.at("kind"), kind);
  EXPECT_NE(error.at("message").get<std::string>().find(hint), std::string::npos);
}

void expect_bad_model(const BrokenModel& model, const std::string& hint) {
  expect_refused({"generate", "-m", model.path(), "-p", "x", "-n", "1"}, "bad_input", hint);
}

TEST(BadInput, MissingFolder) {
  expect_refused({"generate", "-m", "/no/such/folder", "-p", "x"}, "bad_input", "/no/such/folder");
}

TEST(BadInput, EmptyFile) {
  BrokenModel model;
  model.replace("model.safetensors", "");
  expect_bad_model(model, "model.safetensors");
}

TEST(BadInput, TruncatedSafetensors) {
  BrokenModel model;
  const std::string file = model.original("model.safetensors");
  model.replace("model.safetensors", file.substr(0, file.size() / 2));
  expect_bad_model(model, "model.safetensors");
  model.replace("model.safetensors", file.substr(0, 100));
  expect_bad_model(model, "model.safetensors");
  model.replace("model.safetensors", file.substr(0, 5));
  expect_bad_model(model, "model.safetensors");
}

TEST(BadInput, HeaderLengthBeyondTheFile) {
  BrokenModel model;
  std::string file = model.original("model.safetensors");
  for (const uint64_t length : {uint64_t{file.size()}, ~uint64_t{0}, uint64_t{1} << 62}) {
    std::memcpy(file.data(), &length, 8);
    model.replace("model.safetensors", file);
    expect_bad_model(model, "model.safetensors");
  }
}

TEST(BadInput, OverlappingAndOutOfRangeOffsets) {
  BrokenModel model;
  std::string name;
  model.change_header([&](json& header) {
    name = generate_name(header, "h.1.ln_1.weight");
    header[name]["data_offsets"] = header[generate_name(header, "h.0.ln_1.weight")]["data_offsets"];
  });
  expect_bad_model(model, "overlap");
  model.change_header([&](json& header) {
    header[name]["data_offsets"] = {uint64_t{1} << 40, (uint64_t{1} << 40) + 512};
  });
  expect_bad_model(model, name);
  model.change_header([&](json& header) { header[name]["data_offsets"] = {512, 0}; });
  expect_bad_model(model, name);
}

TEST(BadInput, WrongDtypeOrShape) {
  BrokenModel model;
  std::string name;
  model.change_header([&](json& header) {
    name = generate_name(header, "h.2.mlp.c_fc.weight");
    header[name]["dtype"] = "I16";
  });
  expect_bad_model(model, "\"h.2.mlp.c_fc.weight\" has type I16");
  model.change_header([&](json& header) { header[name]["shape"] = {1024, 256}; });
  expect_bad_model(model, "h.2.mlp.c_fc.weight");
}

TEST(BadInput, NanWeightsNameTheTensor) {
  BrokenModel model;
  std::string file = model.original("model.safetensors");
  uint64_t length = 0;
  std::memcpy(&length, file.data(), 8);
  const json header = json::parse(file.substr(8, length));
  const size_t begin = header[generate_name(header, "h.3.mlp.c_proj.weight")]["data_offsets"][0];
  file[8 + length + begin + 10] = '\x00';
  file[8 + length + begin + 11] = '\x7e';  // f16 NaN
  model.replace("model.safetensors", file);
  for (const char* level : {"0", "1"}) {
    const std::string named =
        model.path() + "/model.safetensors: tensor \"h.3.mlp.c_proj.weight\" holds NaN";
    expect_refused({"generate", "-m", model.path(), "-p", "x", "-n", "1", "--level", level},
                   "bad_input", named);
    expect_refused({"profile", "-m", model.path(), "--level", level}, "bad_input", named);
  }
}

TEST(BadInput, UnknownModelType) {
  BrokenModel model;
  json config = json::parse(model.original("config.json"));
  config["model_type"] = "mamba";
  model.replace("config.json", config.dump());
  expect_bad_model(model, "mamba");
}

TEST(BadInput, BrokenConfig) {
  BrokenModel model;
  model.replace("config.json", "{\"model_type\": \"gpt2\",");
  expect_bad_model(model, "config.json");
  json config = json::parse(model.original("config.json"));
  config["n_head"] = 7;
  model.replace("config.json", config.dump());
  expect_bad_model(model, "n_head");
  model.remove("config.json");
  expect_bad_model(model, "config.json");
}

TEST(BadInput, VocabAndMergesDisagree) {
  BrokenModel model;
  model.remove("tokenizer.json");
  std::string merges = model.original("merges.txt");
  model.replace("merges.txt", merges + "zq qz\n");
  expect_bad_model(model, "merges");
  model.remove("merges.txt");
  expect_bad_model(model, "merges.txt");
}

TEST(BadInput, PromptLongerThanTheContext) {
  TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "word ";
  write_all(folder / "prompt", text);
  for (const char* level : {"0", "1"}) {
    expect_refused({"generate", "--prompt_file", folder / "prompt", "--level", level}, "usage",
                   "context of 512");
  }
}

TEST(BadInput, NumbersOutOfRange) {
  const std::string p = "generate";
  expect_refused({p, "-p", "x", "--optimization_level", "7"}, "usage", "7");
  expect_refused({p, "-p", "x", "--threads", "0"}, "usage", "--threads");
  expect_refused({p, "-p", "x", "--threads", "-3"}, "usage", "--threads");
  expect_refused({p, "-p", "x", "-t", "two"}, "usage", "two");
  expect_refused({p, "-p", "x", "-n", "0"}, "usage", "max_new_tokens");
  expect_refused({p, "-p", "x", "--top_p", "1.5"}, "usage", "top_p");
  expect_refused({p, "-p", "x", "--temperature", "nan"}, "usage", "temperature");
  expect_refused({p, "-p", "x", "--close_heads", "8:0"}, "usage", "8");
  expect_refused({p, "-p", "x", "--close_heads", "zero"}, "usage", "zero");
  expect_refused({"bench", "-t", "0"}, "usage", "threads");
  expect_refused({"bench", "-p", "600"}, "usage", "600");
  expect_refused({"eval", "--window", "513"}, "usage", "513");
  expect_refused({"info", "--level", "4"}, "usage", "4");
}

TEST(BadInput, NamesThatDoNotExist) {
  expect_refused({"generate", "-p", "x", "--isa", "sse9"}, "usage", "sse9");
  expect_refused({"generate", "-p", "x", "--weights", "f12"}, "usage", "f12");
  expect_refused({"generate", "-p", "x", "--agency", "maybe"}, "usage", "maybe");
  expect_refused({"generate", "-p", "x", "--colour", "red"}, "usage", "--colour");
  expect_refused({"generate"}, "usage", "--prompt");
  expect_refused({"genrate", "-p", "x"}, "usage", "no such command; there are profile, ");
  expect_refused({"eval", "--text", "/no/such/text"}, "bad_input", "/no/such/text");
  expect_refused({"eval", "--text", "/dev/null"}, "bad_input", "/dev/null");
}

// What a script passes where its variable is not set.
TEST(BadInput, EmptyNames) {
  for (const char* option : {"--model", "--text", "--against", "--output", "--save_preset"}) {
    expect_refused({"eval", option, ""}, "usage", option);
  }
  expect_refused({"prune", "--out", ""}, "usage", "--out");
  expect_refused({"profile", "--output_dir", ""}, "usage", "--output_dir");
}

TEST(BadInput, TypesThatLevel0DoesNotHave) {
  for (const char* option : {"--weights", "--lm_head", "--kv"}) {
    expect_refused({"eval", "--level", "0", option, "int8"}, "usage", "level 0");
    expect_refused({"profile", "--level", "0", option, "bf16"}, "usage", "level 0");
  }
}

TEST(BadInput, TheEnvironmentIsCheckedToo) {
  expect_refused({"generate", "-p", "x"}, "usage", "OPTIMIZATION_LEVEL",
                 {.environment = {{"OPTIMIZATION_LEVEL", "fast"}}});
  expect_refused({"generate", "-p", "x"}, "usage", "OPTIMIZATION_LEVEL",
                 {.environment = {{"OPTIMIZATION_LEVEL", "4"}}});
  expect_refused({"generate", "-p", "x"}, "usage", "sse9",
                 {.environment = {{"SENTINEL_ISA", "sse9"}}});
}

TEST(BadInput, UnwritableOutput) {
  TemporaryFolder folder;
  write_all(folder / "file", "here first");
  const auto refused = [](const std::string& path, const std::string& hint) {
    expect_refused({"generate", "-p", "x", "-n", "1", "--output", path}, "usage", hint);
  };
  refused(folder / "file" + "/out.json", folder / "file");
  refused("/proc/nowhere/x.json", "/proc/nowhere");
  refused("/proc/x.json", "/proc");
  refused(folder.path().string(), folder.path().string());
  expect_refused({"profile", "--output_dir", "/proc/nowhere"}, "usage", "/proc/nowhere");
  expect_refused({"prune", "--heads", "10", "--out", "/proc/nowhere/x"}, "usage", "/proc");
  EXPECT_EQ(read_all(folder / "file"), "here first");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(BadInput, AnOptionWithoutItsValueTakesNothingElse) {
  expect_refused({"prune", "--heads", "30", "--out=", "--dry_run"}, "usage", "--out: nothing");
  expect_refused({"prune", "--heads", "30", "--out", "--dry_run"}, "usage", "is an option");
  expect_refused({"diff", "", "x"}, "usage", "an empty name");
  expect_refused({"bench", "-p", "1,,2"}, "usage", "-p: an empty item");
  expect_refused({"bench", "--threads=1,"}, "usage", "--threads: an empty item");
  expect_refused({"info", "-o", "-"}, "usage", "standard output");
  EXPECT_FALSE(fs::exists("-"));
  EXPECT_FALSE(fs::exists("--dry_run"));
}

TEST(BadInput, AnOutputIsNoInputAndNoOtherOutput) {
  TemporaryFolder folder;
  write_all(folder / "text", "a text that is not to be lost");
  expect_refused({"eval", "--text", folder / "text", "-o", folder / "text"}, "usage",
                 "what --text reads");
  EXPECT_EQ(read_all(folder / "text"), "a text that is not to be lost");
  expect_refused({"heads", "--heatmap", folder / "x.svg", "-o", folder / "x.svg"}, "usage",
                 "--heatmap writes there too");
}

TEST(BadInput, StandardInputIsReadOnce) {
  TemporaryFolder folder;
  const char* const message = "reads standard input already; name a file";
  expect_refused(
      {"prune", "--heads", "10", "--out", folder / "out", "--calibration", "-", "--text", "-"},
      "usage", message);
  expect_refused({"generate", "--prompt_file", "-", "--max_perplexity_increase", "1",
                  "--controller_text", "-"},
                 "usage", message);
}

TEST(BadInput, TextsTooShortToMeasureOn) {
  const TemporaryFolder folder;
  const std::string two = folder / "two", few = "at least 64 are needed; give a longer";
  write_all(two, sentences(2));
  expect_refused({"prune", "--heads", "10", "--out", folder / "o", "--calibration", two}, "usage",
                 few);
  const std::string out = folder / "out";
  expect_refused({"profile", "--output_dir", out, "--strategy", "random", "--recover", "bias",
                  "--calibration", two},
                 "usage", few);
  EXPECT_FALSE(fs::exists(out));
  const Outcome profile =
      run({"profile", "--output_dir", out, "--text", two, "--calibration", two, "--strategy",
           "output", "--pruning_levels", "0,10", "--iterations", "1", "--warmup", "0",
           "--generated_tokens", "2", "--max_footprint_mb", "0"});
  EXPECT_EQ(profile.exit_code, 0) << profile.err;
  EXPECT_NE(profile.err.find("perplexities of fewer than 64"), std::string::npos) << profile.err;
  EXPECT_NE(profile.err.find("rankings of fewer than 64"), std::string::npos) << profile.err;
  const Outcome heads = run({"heads", "--text", two});
  EXPECT_EQ(heads.exit_code, 0);
  EXPECT_NE(heads.err.find("scores of fewer than 64 say next to nothing"), std::string::npos);
  const Outcome eval = run({"eval", "--text", two});
  EXPECT_EQ(eval.exit_code, 0);
  EXPECT_NE(eval.err.find("a perplexity of fewer than 64 says next to nothing"), std::string::npos);
}

TEST(BadInput, TextsThatAreNoFiles) {
  expect_refused({"eval", "--text", "-"}, "bad_input", "standard input: it is empty; give a text");
  expect_refused({"eval", "--text", "/dev/null"}, "bad_input", "as - from standard input");
  expect_refused({"profile", "--text", "-"}, "usage", "name a file");
  for (const char* option : {"--text", "--preset"}) {
    expect_refused({"eval", option, "/no/such/file"}, "bad_input", "name a file that can be read");
  }
  expect_refused({"profile", "--custom_prompts", "/no/such"}, "bad_input", "name a file that");
  expect_refused({"export", "--input_file", "/no/such"}, "bad_input", "name a file that");
}

TEST(BadInput, SaysWhatToDoAboutJsonAndNumbers) {
  BrokenModel model;
  json config = json::parse(model.original("config.json"));
  config["n_head"] = 7;
  model.replace("config.json", config.dump());
  expect_bad_model(model, "is not a multiple of n_head 7; download the model again");
  model.replace("config.json", "{");
  expect_bad_model(model, "correct the file or get it again");
  model.replace("config.json", std::string(100, '['));
  expect_bad_model(model, "JSON is nested too deeply; correct the file");
  expect_refused({"bench", "-p", "0", "-n", "0"}, "usage",
                 "n_prompt and n_gen are 0: nothing to do; give one above 0");
  expect_refused({"bench", "--baseline_integration", "verify"}, "usage", "generate reports it");
}

TEST(BadInput, NumbersThatAreNone) {
  expect_refused({"generate", "-p", "x", "-n", "abc"}, "usage", "\"abc\" is not a number");
  expect_refused({"profile", "--sequence_length=99999999"}, "usage", "sequence_length");
  expect_refused({"prune", "--heads", "30", "--dry_run", "--search_tokens=-5"}, "usage",
                 "search_tokens");
  expect_refused({"generate", "-p", "x", "--lm_head", "none"}, "usage", "lm_head");
}

TEST(BadInput, AFailureWritesNoOutputFile) {
  TemporaryFolder folder;
  expect_refused({"eval", "--text", "/no/such/text", "--output", folder / "result.json"},
                 "bad_input", "/no/such/text");
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace sentinel::e2e
