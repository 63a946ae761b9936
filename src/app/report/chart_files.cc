// PNG and PDF come from the same SVG text, through librsvg's program. Linking cairo instead would
// need a second back end beside the SVG text (pages need real text and titles, which cairo's SVG
// surface turns into outlines), and would bring X11 libraries to everyone who links Sentinel.
#include "app/report/chart_files.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "base/files.h"

extern char** environ;

namespace sentinel {
namespace {

constexpr const char* kConverter = "rsvg-convert";

// An unnamed file in memory: no pipe that can fill up, nothing to clean up on disk.
class MemoryFile {
 public:
  explicit MemoryFile(const char* name) : fd_(memfd_create(name, MFD_CLOEXEC)) {
    if (fd_ < 0) throw runtime_error("cannot make a file in memory: {}", std::strerror(errno));
  }
  ~MemoryFile() { close(fd_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;

  int fd() const { return fd_; }
  void write(const std::string& bytes) {
    if (!write_all(fd_, bytes)) {
      throw runtime_error("chart: cannot write in memory: {}", std::strerror(errno));
    }
    lseek(fd_, 0, SEEK_SET);
  }
  std::string read_all() {
    std::string bytes(static_cast<size_t>(lseek(fd_, 0, SEEK_END)), '\0');
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t n =
          pread(fd_, bytes.data() + done, bytes.size() - done, static_cast<off_t>(done));
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    bytes.resize(done);
    return bytes;
  }

 private:
  int fd_;
};

int run(const std::vector<const char*>& arguments, int input, int output, int errors) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
  posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  // In a process group of its own, so that a terminal's Ctrl-C reaches this program alone: it
  // stops between two charts.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP);
  pid_t child = 0;
  const int failure = posix_spawnp(&child, arguments[0], &actions, &attributes,
                                   const_cast<char* const*>(arguments.data()), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) {
    throw runtime_error("{}: {}; install Debian's librsvg2-bin, or choose SVG", kConverter,
                        std::strerror(failure));
  }
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) return -1;
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string convert(const std::string& svg, const char* format, const char* zoom) {
  MemoryFile input("sentinel-chart-svg"), output("sentinel-chart"), errors("sentinel-chart-log");
  input.write(svg);
  const int status = run({kConverter, "--format", format, "--zoom", zoom, nullptr}, input.fd(),
                         output.fd(), errors.fd());
  std::string bytes = output.read_all();
  if (status != 0 || bytes.empty()) {
    throw runtime_error("{}: cannot convert a chart to {} (status {}): {}", kConverter, format,
                        status, printable(errors.read_all(), 200));
  }
  return bytes;
}

}  // namespace

std::optional<ChartFormat> parse_chart_format(const std::string& name) {
  if (name == "png") return ChartFormat::png;
  if (name == "svg") return ChartFormat::svg;
  if (name == "pdf") return ChartFormat::pdf;
  return std::nullopt;
}

const char* to_string(ChartFormat format) {
  switch (format) {
    case ChartFormat::png:
      return "png";
    case ChartFormat::svg:
      return "svg";
    case ChartFormat::pdf:
      return "pdf";
  }
  return "";
}

bool can_write(ChartFormat format) {
  if (format == ChartFormat::svg) return true;
  try {
    convert("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"1\" height=\"1\"/>",
            to_string(format), "1");
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::string render(const Chart& chart, ChartFormat format) {
  const std::string svg = chart.drawing.svg();
  if (format == ChartFormat::png) return convert(svg, "png", "3");
  if (format == ChartFormat::pdf) return convert(svg, "pdf", "1");
  return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + svg;
}

std::string svg_to_png(const std::string& svg) { return convert(svg, "png", "1"); }

std::vector<std::filesystem::path> write_charts(const std::vector<Chart>& charts,
                                                const std::filesystem::path& folder,
                                                ChartFormat format) {
  std::vector<std::filesystem::path> paths;
  for (const Chart& chart : charts) {
    paths.push_back(folder / fmt::format("{}.{}", chart.name, to_string(format)));
    write_file_atomic(paths.back(), render(chart, format));
  }
  return paths;
}

}  // namespace sentinel
