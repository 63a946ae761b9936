// Whole-file reading with limits, and writing that leaves a whole file or none.
#pragma once

#include <atomic>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace sentinel {

// The file's bytes. Error (bad_input) if it is missing, not regular, or larger than `max_bytes`.
std::string read_file(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 30);

// A text that the user names: a file, or "-" for all of standard input, where `cancel` is heard.
// Error as read_file(); (interrupted).
std::string read_text(const std::filesystem::path& path, const std::atomic<bool>* cancel = nullptr);
// How messages call it.
std::string text_name(const std::filesystem::path& path);

// Parses JSON of nesting depth <= 64; `name` stands in front of error messages (bad_input).
// Numbers out of range, trailing bytes, duplicate keys of one object and invalid UTF-8 are errors.
nlohmann::json parse_json(std::string_view text, const std::string& name);
nlohmann::json read_json(const std::filesystem::path& path, size_t max_bytes = size_t{1} << 28);

// False, with errno, when not all of it could be written.
bool write_all(int fd, std::string_view bytes);

// Writes to a temporary file beside `path`, flushes it to disk and renames it, so that readers see
// the old file or the new one; of several threads that write it, one wins. The new file has the old
// one's rights. A link keeps standing for its file; a device or pipe is written to.
// Error (runtime) names the path.
void write_file_atomic(const std::filesystem::path& path, std::string_view bytes);

// For a file that is written after long work. Error (usage) naming `option` if it cannot be: a
// folder has its name, or there is none to make it in. Makes nothing. An empty path is fine.
void check_output_file(const std::filesystem::path& path, const char* option);

// Error (usage) unless `directory` exists or can be made, and is writable.
void ensure_writable_directory(const std::filesystem::path& directory);

// For a folder that is made after long work: error (usage) if there is something already (`option`
// names it) or no folder can be made there. Makes nothing. An empty path is fine.
void check_new_folder(const std::filesystem::path& folder, const char* option);

// A file that ships with Sentinel ("texts/validation.txt"): looked for below $SENTINEL_DATA, the
// folders above the binary and their share/sentinel (source tree, installation), then the current
// directory. Error if not found.
std::filesystem::path bundled_file(const std::string& relative);

// Lower-case hexadecimal SHA-256.
std::string sha256_hex(std::string_view bytes);

}  // namespace sentinel
