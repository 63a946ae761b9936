#include "cli/table.h"

#include "app/report/text_table.h"

namespace sentinel::cli {

std::string format_table(const std::vector<std::vector<std::string>>& rows) {
  if (rows.empty()) return "";
  return TextTable{rows.front(), {rows.begin() + 1, rows.end()}}.plain();
}

}  // namespace sentinel::cli
