// What this binary was built from and with.
#pragma once

#include <string>

namespace sentinel {

std::string build_version();   // "0.1.0"
std::string build_commit();    // git describe when the build was configured; "unknown" without git
std::string build_compiler();  // "g++ 12.2.0"
std::string build_type();      // "Release"

}  // namespace sentinel
