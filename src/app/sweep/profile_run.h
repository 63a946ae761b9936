// `sentinel profile`: one run from the first check to the report.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "app/report/profile_result.h"
#include "app/sweep/profile_options.h"

namespace sentinel {

struct ProfileProgress {
  std::string stage;  // "loading", "ranking heads", "timing", "quality", ...
  int done = 0, total = 0;
  std::string detail;     // what is measured now
  std::string notice;     // if not empty: a line for the user, and the stage goes on as it was
  bool checking = false;  // inputs may still be refused, for which a log gets one line and no more
};
using ProfileCallback = std::function<void(const ProfileProgress&)>;

// Checks everything that can be checked, makes the run folder, measures stage by stage, and
// rewrites the result file and summary.md after each. When `cancel` (may be null) becomes true the
// run stops soon, keeps what was measured and returns with `interrupted` set.
//
// Error (usage, bad_input): nothing has been written. Error (runtime): what was measured is kept.
ProfileResult run_profile(const ProfileOptions& options, const ProfileCallback& progress = nullptr,
                          const std::atomic<bool>* cancel = nullptr);

// Measures what the run in `folder` lacks, with its own options, into the same folder; the run
// becomes whole as if it had not been interrupted, and says when it was resumed. Error (usage,
// bad_input): as open_earlier_run; nothing has been written.
ProfileResult resume_profile(const std::string& folder, const ProfileCallback& progress = nullptr,
                             const std::atomic<bool>* cancel = nullptr);

}  // namespace sentinel
