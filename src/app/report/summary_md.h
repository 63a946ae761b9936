// summary.md of a run folder.
#pragma once

#include <string>

#include "app/report/profile_result.h"

namespace sentinel {

std::string summary_markdown(const ProfileResult& result);

}  // namespace sentinel
