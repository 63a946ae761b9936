// The safetensors container: 8 bytes header length, a JSON header, the tensors' bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace sentinel {

struct SafetensorsEntry {
  std::string name;
  std::string dtype;  // as in the header: "F32", "BF16", "BOOL", ...
  std::vector<int64_t> shape;
  const std::byte* data = nullptr;  // at any byte address; points into `file`
  size_t bytes = 0;
};

// The tensors of a whole file in memory, ordered by their position in it. Every number in the
// header is checked: the parts must lie inside the file, follow each other without gap or overlap
// up to its end, and be as large as type and shape say. Error (bad_input) starts with `where`.
std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file,
                                                const std::string& where);

}  // namespace sentinel
