#pragma once

namespace sentinel::cli {

constexpr const char* kVersion = "0.1.0";  // tests compare it with CMakeLists.txt

}  // namespace sentinel::cli
