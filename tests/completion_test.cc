// Completions and the manual page, as the shell and man read them.
#include <sys/wait.h>

#include <cstdio>

#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

bool has_program(const std::string& name) {
  return std::system(("command -v " + name + " >/dev/null 2>&1").c_str()) == 0;
}

// Standard output and error of a shell command.
std::string output_of(const std::string& command, int* status = nullptr) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) text += static_cast<char>(c);
  const int code = pclose(pipe);
  if (status) *status = WIFEXITED(code) ? WEXITSTATUS(code) : -1;
  return text;
}

std::string complete(const std::string& script, const std::string& words) {
  return output_of("bash -c 'source " + script + "; COMP_WORDS=(" + words +
                   "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sentinel; echo ${COMPREPLY[*]}'");
}

TEST(Completion, BashOffersCommandsAndTheirOptions) {
  const TemporaryFolder folder;
  const Outcome outcome = run({"--completion", "bash"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::string script = folder / "script";
  write_all(script, outcome.out);
  EXPECT_EQ(complete(script, "sentinel gen"), "generate\n");
  EXPECT_EQ(complete(script, "sentinel --vers"), "--version\n");
  EXPECT_EQ(complete(script, "sentinel generate --max_new"), "--max_new_tokens\n");
  EXPECT_EQ(complete(script, "sentinel eval --max_new"), "\n");
  EXPECT_EQ(complete(script, "sentinel eval -m file"), "\n");  // file names are the shell's
  EXPECT_NE(complete(script, "sentinel bench --").find("--optimization_level"), std::string::npos);
}

TEST(Completion, OtherShellsCanReadTheirs) {
  const TemporaryFolder folder;
  for (const std::string shell : {"zsh", "fish"}) {
    const Outcome outcome = run({"--completion", shell});
    ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
    for (const char* part : {"generate", "max_new_tokens", "tokens to write at most"}) {
      EXPECT_NE(outcome.out.find(part), std::string::npos) << shell << " " << part;
    }
    if (!has_program(shell)) continue;
    write_all(folder / shell, outcome.out);
    int status = 0;
    const std::string text = output_of(shell + " -n " + (folder / shell), &status);
    EXPECT_EQ(status, 0) << text;
    EXPECT_EQ(text, "");
  }
}

TEST(Completion, UnknownShellIsRefused) {
  for (const auto& arguments :
       {std::vector<std::string>{"--completion", "csh"}, {"--completion"}}) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.exit_code, 2);
    EXPECT_NE(outcome.err.find("--completion"), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(ManPage, HoldsEveryOptionAndIsGoodRoff) {
  const Outcome outcome = run({"--man"});
  ASSERT_EQ(outcome.exit_code, 0) << outcome.err;
  for (const char* part : {".TH SENTINEL 1", "OPTIONS OF GENERATE", "\\-\\-max_new_tokens",
                           "\\-\\-completion", "EXIT STATUS", "(default: 64)"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part;
  }
  if (!has_program("groff")) GTEST_SKIP() << "groff is not installed";
  const TemporaryFolder folder;
  write_all(folder / "sentinel.1", outcome.out);
  EXPECT_EQ(output_of("groff -ww -z -man -Tutf8 " + (folder / "sentinel.1")), "");
}

}  // namespace
}  // namespace sentinel::e2e
