#include "base/memory_meter.h"

#include <cstdio>
#include <cstring>

namespace sentinel {
namespace {

double status_mb(const char* field) {
  std::FILE* file = std::fopen("/proc/self/status", "r");
  if (!file) return 0;
  char line[256];
  double mb = 0;
  while (std::fgets(line, sizeof line, file)) {
    long kib = 0;
    if (std::strncmp(line, field, std::strlen(field)) == 0 &&
        std::sscanf(line + std::strlen(field), ": %ld", &kib) == 1) {
      mb = static_cast<double>(kib) * 1024 / 1e6;
    }
  }
  std::fclose(file);
  return mb;
}

}  // namespace

double rss_mb() { return status_mb("VmRSS"); }
double peak_rss_mb() { return status_mb("VmHWM"); }

void reset_peak_rss() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

}  // namespace sentinel
