// The report as one HTML file: no network, no scripts needed, light and dark, screen and paper.
#pragma once

#include <string>

#include "app/report/result_file.h"

namespace sentinel {

std::string export_html(const ResultFile& file, const std::string& base,
                        const std::string& generated_on);

}  // namespace sentinel
