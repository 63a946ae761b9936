#include <fcntl.h>
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

// Else the first file that is opened would take the place of a stream that the caller has closed.
void keep_standard_streams() {
  for (const int stream : {0, 1, 2}) {
    if (fcntl(stream, F_GETFD) != -1) continue;
    // Results that go nowhere are an error, and so is a prompt from nowhere; remarks that go
    // nowhere are not.
    if (open("/dev/null", stream == 1 ? O_RDONLY : O_WRONLY) != stream) _exit(1);
  }
}

bool is_ignored(int signal) {
  struct sigaction now {};
  return sigaction(signal, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

void interrupt_on(int signal) {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(signal, &action, nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  keep_standard_streams();
  // Also where a shell has SIGINT ignored, for a job of a script: whoever sends it means it.
  for (const int signal : {SIGINT, SIGTERM}) interrupt_on(signal);
  if (!is_ignored(SIGHUP)) interrupt_on(SIGHUP);  // nohup
  signal(SIGXFSZ, SIG_IGN);  // a file beyond the limit is an error of its write()
  return sentinel::cli::run(argc, argv, &interrupted);
}
