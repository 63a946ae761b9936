// Text tables for people.
#pragma once

#include <string>
#include <vector>

namespace sentinel::cli {

// Rows of equal length, the first one the header; columns are aligned: text left, numbers right.
std::string format_table(const std::vector<std::vector<std::string>>& rows);

}  // namespace sentinel::cli
