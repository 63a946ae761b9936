#include "model/checkpoint/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "model/families/config_reader.h"

namespace sentinel {
namespace {
using nlohmann::json;

constexpr uint64_t kLengthBytes = 8;
constexpr uint64_t kMaxHeader = 100'000'000;  // the format's own limit
constexpr size_t kMaxRank = 16;

size_t bytes_per_element(std::string_view dtype) {
  struct Size {
    std::string_view name;
    size_t bytes;
  };
  static constexpr Size kSizes[] = {{"F32", 4}, {"F16", 2},     {"BF16", 2},   {"BOOL", 1},
                                    {"U8", 1},  {"I8", 1},      {"I16", 2},    {"U16", 2},
                                    {"I32", 4}, {"U32", 4},     {"I64", 8},    {"U64", 8},
                                    {"F64", 8}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};
  for (const auto& size : kSizes) {
    if (size.name == dtype) return size.bytes;
  }
  return 0;
}

uint64_t read_little_endian(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < kLengthBytes; ++i) value |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  return value;
}

// Reads one header entry; `where` names file and tensor.
class EntryReader {
 public:
  EntryReader(const json& info, std::span<const std::byte> body, std::string where)
      : info_(info), body_(body), where_(std::move(where)) {
    if (!info.is_object()) throw bad_input("{}: its header entry is not an object", where_);
  }

  SafetensorsEntry read(const std::string& name) const {
    SafetensorsEntry entry;
    entry.name = name;
    const auto dtype = info_.find("dtype");
    if (dtype == info_.end() || !dtype->is_string()) throw bad_input("{}: has no dtype", where_);
    entry.dtype = dtype->get<std::string>();
    entry.shape = read_shape();
    const auto [begin, end] = read_offsets();
    entry.data = body_.data() + begin;
    entry.bytes = end - begin;
    const size_t expected = expected_bytes(entry);
    if (entry.bytes != expected) {
      throw bad_input("{}: {} bytes stored, but {} [{}] needs {}; the file is damaged", where_,
                      entry.bytes, entry.dtype, fmt::join(entry.shape, ", "), expected);
    }
    return entry;
  }

 private:
  std::vector<int64_t> read_shape() const {
    const auto shape = info_.find("shape");
    if (shape == info_.end() || !shape->is_array() || shape->size() > kMaxRank) {
      throw bad_input("{}: its shape is not a list of at most {} numbers", where_, kMaxRank);
    }
    std::vector<int64_t> dims;
    for (const json& dim : *shape) {
      const auto n = checked_integer(dim, 0, INT64_MAX);
      if (!n) throw bad_input("{}: its shape holds {}", where_, printable(dim.dump(), 40));
      dims.push_back(*n);
    }
    return dims;
  }

  std::pair<size_t, size_t> read_offsets() const {
    const auto offsets = info_.find("data_offsets");
    if (offsets == info_.end() || !offsets->is_array() || offsets->size() != 2) {
      throw bad_input("{}: has no pair of data_offsets", where_);
    }
    const auto size = static_cast<int64_t>(body_.size());
    const auto begin = checked_integer((*offsets)[0], 0, INT64_MAX);
    const auto end = checked_integer((*offsets)[1], 0, INT64_MAX);
    if (!begin || !end || *begin > *end) {
      throw bad_input("{}: data_offsets {} are not a range", where_,
                      printable(offsets->dump(), 60));
    }
    if (*end > size) {
      throw bad_input(
          "{}: data ends at byte {}, but the file holds {} bytes of data; it is "
          "truncated, copy or download it again",
          where_, *end, size);
    }
    return {static_cast<size_t>(*begin), static_cast<size_t>(*end)};
  }

  size_t expected_bytes(const SafetensorsEntry& entry) const {
    size_t bytes = bytes_per_element(entry.dtype);
    if (bytes == 0) {
      throw bad_input("{}: type \"{}\" is not supported", where_, printable(entry.dtype, 20));
    }
    for (const int64_t dim : entry.shape) {
      if (__builtin_mul_overflow(bytes, static_cast<size_t>(dim), &bytes)) {
        throw bad_input("{}: shape [{}] is too large", where_, fmt::join(entry.shape, ", "));
      }
    }
    return bytes;
  }

  const json& info_;
  std::span<const std::byte> body_;
  std::string where_;
};

void check_contiguous(const std::vector<SafetensorsEntry>& entries, std::span<const std::byte> body,
                      const std::string& where) {
  size_t position = 0;
  for (const auto& entry : entries) {
    const auto begin = static_cast<size_t>(entry.data - body.data());
    if (begin != position) {
      throw bad_input(
          "{}: tensor \"{}\" starts at byte {}, but the one before it ends at {} ({}); "
          "the file is damaged",
          where, printable(entry.name), begin, position,
          begin < position ? "they overlap" : "there is a gap");
    }
    position += entry.bytes;
  }
  if (position != body.size()) {
    throw bad_input("{}: {} bytes after the last tensor belong to nothing; the file is damaged",
                    where, body.size() - position);
  }
}

}  // namespace

std::vector<SafetensorsEntry> parse_safetensors(std::span<const std::byte> file,
                                                const std::string& where) {
  if (file.size() < kLengthBytes) {
    throw bad_input("{}: {} bytes are too few for a safetensors file; copy or download it again",
                    where, file.size());
  }
  const uint64_t length = read_little_endian(file);
  if (length > file.size() - kLengthBytes || length > kMaxHeader) {
    throw bad_input(
        "{}: the header claims {} bytes, but the file has {}; it is truncated or not "
        "a safetensors file",
        where, length, file.size());
  }
  const auto body = file.subspan(kLengthBytes + length);
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  const json header = parse_json(text, where + ": header");
  if (!header.is_object()) throw bad_input("{}: the header is not a JSON object", where);

  std::vector<SafetensorsEntry> entries;
  for (const auto& [name, info] : header.items()) {
    if (name == "__metadata__") continue;
    const std::string place = fmt::format("{}: tensor \"{}\"", where, printable(name));
    entries.push_back(EntryReader(info, body, place).read(name));
  }
  std::sort(entries.begin(), entries.end(), [](const auto& a, const auto& b) {
    return a.data != b.data ? a.data < b.data : a.bytes < b.bytes;  // empty ones come first
  });
  check_contiguous(entries, body, where);
  return entries;
}

}  // namespace sentinel
