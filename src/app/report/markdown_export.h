// The report as Markdown.
#pragma once

#include <string>

#include "app/report/result_file.h"

namespace sentinel {

// "# Profiling Results: BASE", then environment, recommendation and a pipe table per section.
std::string export_markdown(const ResultFile& file, const std::string& base,
                            const std::string& generated_on);

}  // namespace sentinel
