// model.safetensors.index.json: which tensor lies in which of several files.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "model/checkpoint/safetensors.h"

namespace sentinel {

class ShardIndex {
 public:
  // Error (bad_input), also when a shard's name is not a plain file name.
  static ShardIndex read(const std::filesystem::path& path);
  static ShardIndex parse(std::string_view text, const std::string& where);

  std::vector<std::string> files() const;  // each once, ascending
  // Error (bad_input) unless exactly the tensors mapped to `file` are in `entries`.
  void check(const std::string& file, const std::vector<SafetensorsEntry>& entries) const;

 private:
  std::string where_;
  std::map<std::string, std::string> file_of_tensor_;
  std::map<std::string, size_t> tensors_in_file_;
};

}  // namespace sentinel
