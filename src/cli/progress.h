// What goes to stderr beside errors: progress, only when that is a terminal, and remarks.
#pragma once

#include <string>

namespace sentinel::cli {

// A stderr that is closed or full is no reason to fail.
void say(const std::string& text);

class Progress {
 public:
  Progress();
  ~Progress();  // wipes the line
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Shows the text in place of the last one, at most ten times a second.
  void update(const std::string& text);
  void clear();

 private:
  const bool enabled_;
  bool shown_ = false;
  double last_ = 0;
};

// Progress through stages: live on a terminal, elsewhere one line for each stage.
class StageProgress {
 public:
  StageProgress();
  void show(const std::string& stage, const std::string& details);  // details: on a terminal alone
  void clear() { progress_.clear(); }
  bool live() const { return terminal_; }

 private:
  const bool terminal_;
  std::string stage_;
  Progress progress_;
};

}  // namespace sentinel::cli
