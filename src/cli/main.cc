#include <signal.h>
#include <unistd.h>

#include <atomic>

#include "cli/commands.h"

namespace {

// A signal handler can reach only what has static storage.
std::atomic<bool> interrupted{false};

void on_interrupt(int) {
  if (interrupted.exchange(true)) _exit(130);  // the second Ctrl-C does not wait
}

}  // namespace

int main(int argc, char** argv) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return sentinel::cli::run(argc, argv, &interrupted);
}
