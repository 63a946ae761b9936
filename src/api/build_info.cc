#include "base/build_info.h"

#include "base/cpu_features.h"
#include "base/files.h"
#include "kernels/registry.h"
#include "sentinel/sentinel.h"

namespace sentinel {

BuildInfo build_info() {
  return {build_version(), build_commit(), build_compiler(), build_type(),
          available_isas(detect_cpu_features())};
}

std::string bundled_model() { return bundled_file("models/sentinel-mini").string(); }

std::string bundled_text(const std::string& name) {
  return bundled_file("texts/" + name + ".txt").string();
}

}  // namespace sentinel
