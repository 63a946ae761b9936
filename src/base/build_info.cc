#include "base/build_info.h"

namespace sentinel {

std::string build_version() { return SENTINEL_VERSION; }
std::string build_commit() { return SENTINEL_COMMIT; }

std::string build_compiler() {
#if defined(__clang__)
  return std::string("clang ") + __clang_version__;
#else
  return std::string("g++ ") + __VERSION__;
#endif
}

std::string build_type() { return SENTINEL_BUILD_TYPE; }

}  // namespace sentinel
