// Style sheet and script of the HTML report.
#pragma once

#include <string>

namespace sentinel {

std::string html_style();
// Adds sorting and "copy as CSV" to tables; the page is whole without it.
const char* html_script();

}  // namespace sentinel
