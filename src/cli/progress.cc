#include "cli/progress.h"

#include <unistd.h>

#include <cstdio>

#include "base/clock.h"

namespace sentinel::cli {
namespace {
constexpr double kSecondsBetweenUpdates = 0.1;
}

void say(const std::string& text) { std::fputs(text.c_str(), stderr); }

Progress::Progress() : enabled_(isatty(STDERR_FILENO) == 1) {}
Progress::~Progress() { clear(); }

void Progress::update(const std::string& text) {
  const double now = now_s();
  if (!enabled_ || now - last_ < kSecondsBetweenUpdates) return;
  last_ = now;
  shown_ = true;
  std::fprintf(stderr, "\r\033[K%.*s", 120, text.c_str());
  std::fflush(stderr);
}

void Progress::clear() {
  if (!shown_) return;
  shown_ = false;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
}

StageProgress::StageProgress() : terminal_(isatty(STDERR_FILENO) == 1) {}

void StageProgress::show(const std::string& stage, const std::string& details) {
  if (terminal_) {
    progress_.update(stage + details);
  } else if (stage != stage_) {
    std::fprintf(stderr, "%s\n", stage.c_str());
  }
  stage_ = stage;
}

}  // namespace sentinel::cli
