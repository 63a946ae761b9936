#include "model/checkpoint/shard_index.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"

namespace sentinel {
using nlohmann::json;
namespace {

constexpr size_t kMaxBytes = 100'000'000;

// A name that could leave the model's folder is never opened.
bool is_plain_file_name(const std::string& name) {
  return name.ends_with(".safetensors") && name.front() != '.' &&
         name.find('/') == std::string::npos && name.find('\0') == std::string::npos;
}

}  // namespace

ShardIndex ShardIndex::read(const std::filesystem::path& path) {
  const std::string text = read_file(path, kMaxBytes);
  if (text.empty()) throw bad_input("{}: the file is empty; get it again", path.string());
  return parse(text, path.string());
}

ShardIndex ShardIndex::parse(std::string_view text, const std::string& where) {
  const json document = parse_json(text, where);
  const auto map = document.is_object() ? document.find("weight_map") : document.end();
  if (!document.is_object() || map == document.end() || !map->is_object() || map->empty()) {
    throw bad_input("{}: has no \"weight_map\" of tensors and files", where);
  }
  ShardIndex index;
  index.where_ = where;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string() || !is_plain_file_name(file.get_ref<const std::string&>())) {
      throw bad_input("{}: tensor \"{}\" is mapped to {}, expected the name of a .safetensors file",
                      where, printable(tensor), printable(file.dump(), 60));
    }
    index.file_of_tensor_[tensor] = file.get<std::string>();
    ++index.tensors_in_file_[file.get<std::string>()];
  }
  return index;
}

std::vector<std::string> ShardIndex::files() const {
  std::vector<std::string> names;
  for (const auto& [file, count] : tensors_in_file_) names.push_back(file);
  return names;
}

void ShardIndex::check(const std::string& file,
                       const std::vector<SafetensorsEntry>& entries) const {
  for (const auto& entry : entries) {
    const auto it = file_of_tensor_.find(entry.name);
    if (it == file_of_tensor_.end() || it->second != file) {
      throw bad_input("{}: tensor \"{}\" is in {}, but the index does not say so", where_,
                      printable(entry.name), file);
    }
  }
  if (entries.size() == tensors_in_file_.at(file)) return;
  std::set<std::string_view> present;
  for (const auto& entry : entries) present.insert(entry.name);
  for (const auto& [tensor, mapped] : file_of_tensor_) {
    if (mapped == file && !present.contains(tensor)) {
      throw bad_input("{}: tensor \"{}\" is not in {}; download the model again", where_,
                      printable(tensor), file);
    }
  }
}

}  // namespace sentinel
