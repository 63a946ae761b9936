// A mutator for libFuzzer that keeps most inputs valid JSON: without it nearly all of them end in
// the JSON parser. Included by one file of a target.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace sentinel {

class JsonMutator {
 public:
  explicit JsonMutator(unsigned seed) : random_(seed) {}

  void mutate(nlohmann::json& document) {
    using nlohmann::json;
    std::vector<json*> nodes;
    collect(document, nodes);
    json& node = *nodes[pick(nodes.size())];
    const json other = *nodes[pick(nodes.size())];
    switch (pick(6)) {
      case 0:
        node = value();
        break;
      case 1:
        node = other;
        break;
      case 2:
        if (node.is_object() && !node.empty()) node.erase(std::next(node.begin(), index(node)));
        if (node.is_array() && !node.empty()) node.erase(index(node));
        break;
      case 3:
        if (node.is_array()) node.insert(node.begin() + index(node), other);
        if (node.is_object()) node[key()] = other;
        break;
      case 4:
        rename(node);
        break;
      default:
        if (node.is_number()) node = node.get<double>() * (pick(2) ? -1e3 : 0.5);
        if (node.is_string()) node = text(node.get<std::string>());
        break;
    }
  }

 private:
  size_t pick(size_t n) { return random_() % std::max<size_t>(n, 1); }
  std::ptrdiff_t index(const nlohmann::json& node) {
    return static_cast<std::ptrdiff_t>(pick(node.size()));
  }
  static void collect(nlohmann::json& node, std::vector<nlohmann::json*>& out) {
    out.push_back(&node);
    if (!node.is_structured()) return;
    for (auto& child : node) collect(child, out);
  }
  nlohmann::json value() {
    using nlohmann::json;
    const json values[] = {nullptr,    true,           0,         1,         -1,
                           1e30,       -1e300,         0.5,       INT64_MAX, "",
                           UINT64_MAX, json::array(),  INT64_MIN, 1LL << 31, "\xC3\xA4x",
                           1e-300,     json::object(), {1, 2}};
    return values[pick(std::size(values))];
  }
  std::string key() {
    const char* keys[] = {"0", "1", "-1", "50", "100", "99999999999", "", "comparison", "x"};
    return keys[pick(std::size(keys))];
  }
  void rename(nlohmann::json& node) {
    if (!node.is_object() || node.empty()) return;
    const auto it = std::next(node.begin(), index(node));
    const nlohmann::json moved = *it;
    node.erase(it);
    node[key()] = moved;
  }
  std::string text(std::string old) {
    const size_t size = old.size();
    old.resize(size + 16);
    old.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(old.data()), size, old.size()));
    return old;
  }

  std::minstd_rand random_;
};

}  // namespace sentinel

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  using nlohmann::json;
  if (seed % 8 == 0) return LLVMFuzzerMutate(data, size, max_size);
  json document = json::parse(data, data + size, nullptr, false);
  if (document.is_discarded()) return LLVMFuzzerMutate(data, size, max_size);
  sentinel::JsonMutator mutator(seed);
  for (unsigned i = 0; i <= seed / 8 % 3; ++i) mutator.mutate(document);
  const std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}
