#include "base/files.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <vector>

#include "base/error.h"

namespace sentinel {
namespace fs = std::filesystem;
using nlohmann::json;

std::string read_file(const fs::path& path, size_t max_bytes) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    const int why = errno;
    const bool ours = why == EMFILE || why == ENFILE || why == ENOMEM || why == EIO;
    throw Error(ours ? ErrorKind::runtime : ErrorKind::bad_input,
                fmt::format("{}: cannot open: {}; name a file that can be read", path.string(),
                            std::strerror(why)));
  }
  struct stat info {};
  const bool regular = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  const auto size = static_cast<size_t>(info.st_size);
  if (!regular || size > max_bytes) {
    close(fd);
    if (!regular) {
      throw bad_input("{}: not a regular file; name one (a text may come as - from standard input)",
                      path.string());
    }
    throw bad_input("{}: {} bytes is more than the limit of {}; give a smaller file", path.string(),
                    size, max_bytes);
  }
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < size) {
    const ssize_t n = read(fd, bytes.data() + done, size - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    done += static_cast<size_t>(n);
  }
  close(fd);
  if (done != size) throw runtime_error("{}: cannot read all of it", path.string());
  return bytes;
}

namespace {

// poll() is not restarted behind a signal, so that Ctrl-C is heard while it waits.
std::string read_stdin(const std::atomic<bool>* cancel) {
  constexpr size_t kMost = size_t{1} << 28;
  std::string text;
  std::array<char, 65536> part;
  while (text.size() <= kMost) {
    pollfd in{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
    poll(&in, 1, 200);
    throw_if_set(cancel);
    if (in.revents == 0) continue;
    const ssize_t n = read(STDIN_FILENO, part.data(), part.size());
    if (n < 0) throw bad_input("standard input: cannot read: {}", std::strerror(errno));
    if (n == 0) return text;
    text.append(part.data(), static_cast<size_t>(n));
  }
  throw bad_input("standard input: more than {} bytes; give a shorter text", kMost);
}

}  // namespace

std::string read_text(const fs::path& path, const std::atomic<bool>* cancel) {
  return path == "-" ? read_stdin(cancel) : read_file(path);
}

std::string text_name(const fs::path& path) {
  return path == "-" ? "standard input" : path.string();
}

json parse_json(std::string_view text, const std::string& name) {
  constexpr const char* kAdvice = "correct the file or get it again";
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    if (depth > 64) throw bad_input("{}: JSON is nested too deeply; {}", name, kAdvice);
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key &&
        !keys.back().insert(value.get_ref<const std::string&>()).second) {
      throw bad_input("{}: key \"{}\" stands twice; {}", name, printable(value.get<std::string>()),
                      kAdvice);
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), check);
  } catch (const json::exception& e) {
    throw bad_input("{}: not valid JSON ({}); {}", name, printable(e.what(), 160), kAdvice);
  }
}

json read_json(const fs::path& path, size_t max_bytes) {
  const std::string text = read_file(path, max_bytes);
  if (text.empty()) {
    throw bad_input("{}: the file is empty; copy or download it again", path.string());
  }
  return parse_json(text, path.string());
}

namespace {

// A device, pipe or socket, which a file must not replace.
bool is_special(const fs::path& path) {
  std::error_code error;
  const fs::file_status status = fs::status(path, error);
  return fs::exists(status) && !fs::is_regular_file(status) && !fs::is_directory(status);
}

// What a link stands for, whether it is there or not; else the path itself.
fs::path behind_links(const fs::path& path) {
  std::error_code error;
  if (!fs::is_symlink(path, error)) return path;
  const fs::path there = fs::canonical(path, error);
  return error ? path.parent_path() / fs::read_symlink(path, error) : there;
}

// A new file beside `path`, open for writing; `name` is chance, so that no other thread has it and
// nobody can have laid a link there. -1, with errno and an empty name, if it cannot be made.
int create_beside(const fs::path& path, mode_t mode, std::string& name) {
  std::random_device random;
  int fd = -1;
  do {
    name = fmt::format("{}.tmp{:08x}", path.string(), random());
    fd = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EEXIST);
  if (fd < 0) name.clear();
  return fd;
}

// The same, to take the place of `target`, whose rights it has if that is there.
int create_instead(const fs::path& target, std::string& name) {
  struct stat old {};
  if (stat(target.c_str(), &old) != 0) return create_beside(target, 0666, name);
  const mode_t rights = old.st_mode & 0777;
  const int fd = create_beside(target, rights, name);
  if (fd >= 0) fchmod(fd, rights);  // those that the process's umask has cut
  return fd;
}

}  // namespace

bool write_all(int fd, std::string_view bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = write(fd, bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    done += static_cast<size_t>(n);
  }
  return true;
}

void write_file_atomic(const fs::path& path, std::string_view bytes) {
  const bool special = is_special(path);
  const fs::path target = behind_links(path);
  std::string temporary;
  const auto fail = [&](const char* what, int fd) {
    const int error = errno;
    if (fd >= 0) close(fd);
    if (!temporary.empty()) unlink(temporary.c_str());
    throw runtime_error("{}: cannot {}: {}", path.string(), what, std::strerror(error));
  };
  const int fd =
      special ? open(path.c_str(), O_WRONLY | O_CLOEXEC) : create_instead(target, temporary);
  if (fd < 0) fail(special ? "open" : "create", fd);
  if (!write_all(fd, bytes)) fail("write", fd);
  if (!special && fsync(fd) != 0) fail("write", fd);
  if (close(fd) != 0) fail("write", -1);
  if (!special && rename(temporary.c_str(), target.c_str()) != 0) fail("write", -1);
}

namespace {

// The directory exists. Error (usage) unless a file can be made in it.
void require_writable(const fs::path& directory) {
  // access() says yes to root on a read-only file system's folder in some cases: try for real.
  std::string probe;
  const int fd = create_beside(directory / ".sentinel-probe", 0600, probe);
  if (fd < 0) {
    throw usage_error("{}: cannot write to this folder: {}; choose another output folder",
                      directory.string(), std::strerror(errno));
  }
  close(fd);
  unlink(probe.c_str());
}

// The part of the path that is there.
fs::path nearest_existing(const fs::path& path) {
  std::error_code error;
  fs::path nearest = fs::absolute(path, error);
  while (!fs::exists(nearest, error) && nearest.has_relative_path()) {
    nearest = nearest.parent_path();
  }
  return nearest;
}

// The binary that holds this code: the program, libsentinel.so, or the Python module.
std::vector<fs::path> own_binaries() {
  std::vector<fs::path> paths;
  std::error_code error;
  Dl_info info;
  if (dladdr(reinterpret_cast<const void*>(&own_binaries), &info) != 0 && info.dli_fname) {
    paths.push_back(fs::weakly_canonical(info.dli_fname, error));
  }
  paths.push_back(fs::read_symlink("/proc/self/exe", error));
  return paths;
}

}  // namespace

void ensure_writable_directory(const fs::path& directory) {
  std::error_code error;
  fs::create_directories(directory, error);
  if (error || !fs::is_directory(directory)) {
    throw usage_error("{}: cannot make this folder: {}; choose another output folder",
                      directory.string(), error ? error.message() : "a file is in the way");
  }
  require_writable(directory);
}

void check_output_file(const fs::path& path, const char* option) {
  if (path.empty()) return;
  std::error_code error;
  if (fs::is_directory(path, error)) {
    throw usage_error("{}: {} is a folder; give a file name", option, printable(path.string()));
  }
  if (is_special(path)) {
    if (access(path.c_str(), W_OK) == 0) return;
    throw usage_error("{} {}: cannot write to it: {}; choose another", option,
                      printable(path.string()), std::strerror(errno));
  }
  const fs::path target = behind_links(path);
  const fs::path parent = target.has_parent_path() ? target.parent_path() : fs::path(".");
  if (!fs::is_directory(parent, error)) {
    throw usage_error("{}: there is no folder {}; make it or choose another", option,
                      printable(parent.string()));
  }
  require_writable(parent);
}

void check_new_folder(const fs::path& folder, const char* option) {
  if (folder.empty()) return;
  std::error_code error;
  if (fs::exists(fs::symlink_status(folder, error))) {
    throw usage_error("{} {}: exists already; choose another folder", option,
                      printable(folder.string()));
  }
  require_writable(nearest_existing(folder));
}

fs::path bundled_file(const std::string& relative) {
  std::vector<fs::path> roots;
  if (const char* data = std::getenv("SENTINEL_DATA"); data && *data) roots.emplace_back(data);
  for (const fs::path& binary : own_binaries()) {
    for (fs::path dir = binary.parent_path(); dir.has_relative_path(); dir = dir.parent_path()) {
      roots.push_back(dir);
      roots.push_back(dir / "share" / "sentinel");
    }
  }
  std::error_code error;
  roots.push_back(fs::current_path(error));
  for (const auto& root : roots) {
    if (fs::exists(root / relative, error)) return root / relative;
  }
  throw bad_input(
      "{}: this file ships with Sentinel but was not found; set SENTINEL_DATA to the "
      "folder that holds it",
      relative);
}

std::string sha256_hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  if (EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) != 1) {
    throw runtime_error("sha256 failed");
  }
  std::string hex;
  for (unsigned int i = 0; i < length; ++i) hex += fmt::format("{:02x}", digest[i]);
  return hex;
}

}  // namespace sentinel
