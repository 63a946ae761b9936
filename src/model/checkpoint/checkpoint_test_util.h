// For tests: hand-made safetensors files and tiny GPT-2 folders, written without the writer.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"

namespace sentinel::test {
namespace fs = std::filesystem;
using nlohmann::json;

inline void write_bytes(const fs::path& path, const std::string& bytes) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << bytes;
  ASSERT_TRUE(fs::exists(path));
}

// Length, header, body: whatever they hold.
inline std::string safetensors_bytes(const std::string& header, const std::string& body) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + body;
}

struct TestTensor {
  std::vector<int64_t> shape;
  std::string dtype = "F32";
  std::string bytes;
};
using TestTensors = std::map<std::string, TestTensor>;

inline std::string safetensors_bytes(const TestTensors& tensors) {
  json header = {{"__metadata__", {{"format", "pt"}}}};
  std::string body;
  for (const auto& [name, tensor] : tensors) {
    const size_t begin = body.size();
    body += tensor.bytes;
    header[name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}};
    header[name]["data_offsets"] = {begin, body.size()};
  }
  return safetensors_bytes(header.dump(), body);
}

// An f32 tensor whose elements are first, first + 1, ...
inline TestTensor ramp(std::vector<int64_t> shape, float first) {
  int64_t count = 1;
  for (const int64_t dim : shape) count *= dim;
  std::vector<float> values(static_cast<size_t>(count));
  std::iota(values.begin(), values.end(), first);
  std::string bytes(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return {std::move(shape), "F32", std::move(bytes)};
}

// 2 layers, 2 heads of 2, 8 neurons, 5 tokens, 3 positions.
inline json tiny_config() {
  return {{"model_type", "gpt2"}, {"n_layer", 2},     {"n_head", 2},    {"n_embd", 4},
          {"n_inner", 8},         {"n_positions", 3}, {"vocab_size", 5}};
}

// The tensors of tiny_config(), with `heads` and `ffn` per layer as given.
inline TestTensors tiny_tensors(const std::string& prefix = "", std::vector<int64_t> heads = {2, 2},
                                std::vector<int64_t> ffn = {8, 8}) {
  TestTensors tensors;
  float first = 0;
  const auto add = [&](const std::string& name, std::vector<int64_t> shape) {
    tensors[prefix + name] = ramp(std::move(shape), first);
    first += 1000;
  };
  add("wte.weight", {5, 4});
  add("wpe.weight", {3, 4});
  for (size_t l = 0; l < heads.size(); ++l) {
    const std::string name = fmt::format("h.{}.", l);
    for (const char* norm : {"ln_1", "ln_2"}) {
      add(name + norm + ".weight", {4});
      add(name + norm + ".bias", {4});
    }
    add(name + "attn.c_attn.weight", {4, 3 * heads[l] * 2});
    add(name + "attn.c_attn.bias", {3 * heads[l] * 2});
    add(name + "attn.c_proj.weight", {heads[l] * 2, 4});
    add(name + "attn.c_proj.bias", {4});
    add(name + "mlp.c_fc.weight", {4, ffn[l]});
    add(name + "mlp.c_fc.bias", {ffn[l]});
    add(name + "mlp.c_proj.weight", {ffn[l], 4});
    add(name + "mlp.c_proj.bias", {4});
  }
  add("ln_f.weight", {4});
  add("ln_f.bias", {4});
  return tensors;
}

inline void write_model(const fs::path& folder, const json& config, const TestTensors& tensors) {
  write_bytes(folder / "config.json", config.dump());
  write_bytes(folder / "model.safetensors", safetensors_bytes(tensors));
}

// Runs `action`, which must throw an Error of this kind; its one-line message must hold all parts.
inline void expect_error(ErrorKind kind, const std::vector<std::string>& parts,
                         const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    const std::string message = error.what();
    EXPECT_EQ(error.kind(), kind) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    for (const auto& part : parts) {
      EXPECT_NE(message.find(part), std::string::npos)
          << "\"" << part << "\" is not in: " << message;
    }
    return;
  }
  ADD_FAILURE() << "no error, expected one with: " << fmt::format("{}", fmt::join(parts, ", "));
}

// A folder of its own for each test, removed afterwards.
class FolderTest : public testing::Test {
 protected:
  FolderTest() {
    const auto* info = testing::UnitTest::GetInstance()->current_test_info();
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("sentinel_{}_{}_{}", getpid(), info->test_suite_name(), info->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~FolderTest() override {
    std::error_code error;
    fs::remove_all(folder_, error);
  }
  fs::path folder_;
};

}  // namespace sentinel::test
