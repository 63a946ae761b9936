// Ctrl-C at any moment and a full disk: files stay whole, and --resume completes the run.
#include <sys/mount.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <set>

#include "run_sentinel.h"

namespace sentinel::e2e {
namespace {

using nlohmann::json;

std::vector<std::string> everything(const std::string& output_dir) {
  return {"profile",
          "--model_name",
          kMini,
          "--device",
          "cpu",
          "--profile_mode",
          "all",
          "--pruning_levels",
          "0,50",
          "--iterations",
          "2",
          "--warmup",
          "1",
          "--generated_tokens",
          "3",
          "--sequence_length",
          "12",
          "--max_eval_windows",
          "1",
          "--threads",
          "1",
          "--max_footprint_mb",
          "2",
          "--visualize",
          "--export_csv",
          "--trace_export",
          "--output_dir",
          output_dir};
}

// No half-written file, none that was meant to be renamed.
void expect_whole_files(const fs::path& folder) {
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string name = entry.path().filename().string();
    EXPECT_EQ(name.find(".tmp"), std::string::npos) << entry.path();
    const std::string text = read_all(entry.path());
    EXPECT_FALSE(text.empty()) << entry.path();
    if (name.ends_with(".json")) {
      EXPECT_TRUE(json::accept(text)) << entry.path();
    }
    if (name.ends_with(".png")) {
      EXPECT_EQ(text.find("IEND", text.size() - 8), text.size() - 8);
    }
    if (name.ends_with(".csv") || name.ends_with(".md")) {
      EXPECT_EQ(text.back(), '\n') << name;
    }
  }
}

std::set<std::string> files_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) names.insert(fs::relative(entry.path(), folder).string());
  }
  return names;
}

fs::path only_run(const fs::path& output_dir) {
  fs::path found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output_dir, error)) found = entry.path();
  return found;
}

bool is_whole(const fs::path& run) {
  const json document = json::parse(read_all(run / "data/full_model_profiling.json"));
  return document["interrupted"] == false;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// SENTINEL_INTERRUPTS: how often; tools/interrupt_check.sh asks for 20.
TEST(Interrupt, AtAnyMomentLeavesWholeFilesThatResumeCompletes) {
  const char* asked = std::getenv("SENTINEL_INTERRUPTS");
  const int times = asked ? std::atoi(asked) : 3;
  const TemporaryFolder whole;
  const auto start = std::chrono::steady_clock::now();
  ASSERT_EQ(run(everything(whole / "out")).exit_code, 0);
  const double duration = seconds_since(start);
  const auto expected = files_in(only_run(whole / "out"));
  const unsigned seed = std::random_device()();
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> moment(0.01, duration);
  for (int i = 0; i < times; ++i) {
    const TemporaryFolder folder;
    RunOptions options;
    options.interrupt_after_s = moment(random);
    SCOPED_TRACE("seed " + std::to_string(seed) + ", after " +
                 std::to_string(options.interrupt_after_s) + " s of " + std::to_string(duration));
    const Outcome outcome = run(everything(folder / "out"), options);
    const fs::path run_folder = only_run(folder / "out");
    // Before anything was measured; before the program's first line the signal itself ends it.
    if (run_folder.empty() && outcome.exit_code == -SIGINT) continue;
    EXPECT_TRUE(outcome.exit_code == 130 || outcome.exit_code == 0) << outcome.err;
    if (run_folder.empty()) continue;
    expect_whole_files(run_folder);
    if (!fs::exists(run_folder / "data/full_model_profiling.json")) continue;
    EXPECT_EQ(is_whole(run_folder), outcome.exit_code == 0);
    if (outcome.exit_code == 0) continue;  // nothing is missing, which --resume refuses
    const Outcome resumed = run({"profile", "--resume", run_folder.string()});
    EXPECT_EQ(resumed.exit_code, 0) << resumed.err;
    EXPECT_TRUE(is_whole(run_folder));
    EXPECT_EQ(files_in(run_folder), expected);
    expect_whole_files(run_folder);
  }
}

// A line of /proc/PID/status: the set of signals that are ignored (SigIgn) or caught (SigCgt).
uint64_t signal_set(pid_t pid, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stoull(line.substr(name.size() + 1), nullptr, 16);
  }
  return 0;
}

bool holds(uint64_t set, int signal) { return set >> (signal - 1) & 1; }

// nohup ignores SIGHUP, which stays so; a script's shell SIGINT of its jobs in the background,
// which the script may still send.
TEST(Interrupt, HangUpIsNotHeardWhereTheCallerHasItIgnored) {
  int input[2];
  ASSERT_EQ(pipe2(input, O_CLOEXEC), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    signal(SIGHUP, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    const int nowhere = open("/dev/null", O_WRONLY);
    dup2(input[0], 0);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    execl(SENTINEL_BINARY, SENTINEL_BINARY, "generate", "--prompt_file", "-", nullptr);
    _exit(127);
  }
  close(input[0]);
  // It ignores SIGXFSZ last, and then waits for its prompt.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  const auto waits = [&] {
    return std::chrono::steady_clock::now() < deadline && waitpid(pid, nullptr, WNOHANG) == 0 &&
           !holds(signal_set(pid, "SigIgn"), SIGXFSZ);
  };
  while (waits()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_TRUE(holds(signal_set(pid, "SigIgn"), SIGXFSZ));
  const uint64_t ignored = signal_set(pid, "SigIgn");
  EXPECT_TRUE(holds(ignored, SIGHUP));
  EXPECT_FALSE(holds(ignored, SIGINT));
  const uint64_t caught = signal_set(pid, "SigCgt");
  EXPECT_TRUE(holds(caught, SIGINT));
  EXPECT_TRUE(holds(caught, SIGTERM));
  kill(pid, SIGKILL);
  close(input[1]);
  waitpid(pid, nullptr, 0);
}

TEST(Interrupt, ResumeTakesNoOtherSettings) {
  const Outcome outcome = run({"profile", "--resume", "somewhere", "--iterations", "9"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_NE(outcome.err.find("--iterations"), std::string::npos) << outcome.err;
}

// A file system of so many KiB, for root only.
class SmallDisk {
 public:
  SmallDisk(const fs::path& folder, int kib) : folder_(folder) {
    fs::create_directories(folder_);
    const std::string size = "size=" + std::to_string(kib) + "k";
    mounted_ = mount("tmpfs", folder_.c_str(), "tmpfs", 0, size.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) umount2(folder_.c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  bool mounted() const { return mounted_; }

 private:
  fs::path folder_;
  bool mounted_ = false;
};

TEST(DiskFull, IsAClearErrorAndLeavesNoBrokenFile) {
  for (const int kib : {8, 100, 700}) {  // during the first, the later and the last files
    const TemporaryFolder folder;
    const SmallDisk disk(folder / "small", kib);
    if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount";
    const Outcome outcome = run(everything(folder / "small/out"));
    EXPECT_EQ(outcome.exit_code, 1) << kib << outcome.err;
    EXPECT_NE(outcome.err.find("No space left"), std::string::npos) << outcome.err;
    const std::string last = outcome.err.substr(outcome.err.find("sentinel profile:"));
    EXPECT_EQ(std::count(last.begin(), last.end(), '\n'), 1) << last;
    EXPECT_NE(last.find("small/out"), std::string::npos) << last;
    expect_whole_files(folder / "small");
  }
}

}  // namespace
}  // namespace sentinel::e2e
