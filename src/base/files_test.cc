#include "base/files.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/aligned_buffer.h"
#include "base/error.h"
#include "base/mapped_file.h"

namespace sentinel {
namespace {
namespace fs = std::filesystem;

class Files : public testing::Test {
 protected:
  Files() {
    char name[] = "/tmp/sentinel-files-XXXXXX";
    folder_ = mkdtemp(name);
  }
  ~Files() override { fs::remove_all(folder_); }
  fs::path folder_;
};

TEST_F(Files, AtomicWriteReplacesWholeFilesAndLeavesNothingElse) {
  const fs::path file = folder_ / "a.txt";
  write_file_atomic(file, "one");
  write_file_atomic(file, "two");
  EXPECT_EQ(read_file(file), "two");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1);
  EXPECT_THROW(write_file_atomic(folder_ / "missing" / "b.txt", "x"), Error);
}

TEST_F(Files, ThreadsMayWriteTheSameFile) {
  const fs::path file = folder_ / "a.txt";
  std::vector<std::thread> threads;
  for (const char letter : {'a', 'b', 'c', 'd'}) {
    threads.emplace_back([&file, text = std::string(100'000, letter)] {
      for (int i = 0; i < 20; ++i) EXPECT_NO_THROW(write_file_atomic(file, text));
    });
  }
  for (auto& thread : threads) thread.join();
  const std::string text = read_file(file);
  EXPECT_EQ(text, std::string(100'000, text.front()));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(Files, WhatOthersHaveLaidInTheFolderIsNotTouched) {
  const std::string pid = std::to_string(getpid());
  write_file_atomic(folder_ / "theirs", "theirs");
  fs::create_symlink("theirs", folder_ / ("a.txt.tmp" + pid));
  write_file_atomic(folder_ / (".sentinel-probe" + pid), "theirs");
  EXPECT_NO_THROW(ensure_writable_directory(folder_));
  write_file_atomic(folder_ / "a.txt", "ours");
  EXPECT_EQ(read_file(folder_ / "theirs"), "theirs");
  EXPECT_EQ(read_file(folder_ / "a.txt"), "ours");
}

TEST_F(Files, RightsAreThoseOfTheOldFileElseOfTheUmask) {
  const auto rights = [](const fs::path& file) {
    return static_cast<unsigned>(fs::status(file).permissions());
  };
  const mode_t before = umask(027);
  write_file_atomic(folder_ / "new", "x");
  EXPECT_EQ(rights(folder_ / "new"), 0640U);
  for (const unsigned kept : {0600U, 0664U}) {
    fs::permissions(folder_ / "new", fs::perms{kept});
    write_file_atomic(folder_ / "new", "y");
    EXPECT_EQ(rights(folder_ / "new"), kept);
  }
  umask(before);
}

TEST_F(Files, ReadRefusesWhatIsMissingTooLargeOrNoFile) {
  EXPECT_THROW(read_file(folder_ / "none"), Error);
  EXPECT_THROW(read_file(folder_), Error);
  write_file_atomic(folder_ / "big", std::string(100, 'x'));
  EXPECT_THROW(read_file(folder_ / "big", 99), Error);
  EXPECT_EQ(read_file(folder_ / "big", 100).size(), 100U);
}

// Opening one to read would wait for a writer.
TEST_F(Files, APipeIsRefusedAtOnce) {
  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_THROW(read_file(pipe), Error);
  EXPECT_THROW(MappedFile{pipe}, Error);
}

TEST_F(Files, LinksStayLinksAndPipesStayPipes) {
  write_file_atomic(folder_ / "file", "old");
  fs::create_symlink("file", folder_ / "link");
  fs::create_symlink("later", folder_ / "dangling");
  write_file_atomic(folder_ / "link", "new");
  write_file_atomic(folder_ / "dangling", "made");
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(read_file(folder_ / "file"), "new");
  EXPECT_EQ(read_file(folder_ / "later"), "made");

  const fs::path pipe = folder_ / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  std::string got(8, '\0');
  std::thread reader([&] {
    const int fd = open(pipe.c_str(), O_RDONLY);
    got.resize(static_cast<size_t>(std::max<ssize_t>(read(fd, got.data(), got.size()), 0)));
    close(fd);
  });
  check_output_file(pipe, "--output");
  write_file_atomic(pipe, "bytes");
  reader.join();
  EXPECT_EQ(got, "bytes");
  EXPECT_TRUE(fs::is_fifo(pipe));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 5);  // nothing temporary is left
}

TEST_F(Files, OutputsAreCheckedBeforeTheWork) {
  check_output_file("", "--output");
  check_output_file(folder_ / "new", "--output");
  EXPECT_TRUE(fs::is_empty(folder_));
  EXPECT_THROW(check_output_file(folder_, "--output"), Error);
  EXPECT_THROW(check_output_file(folder_ / "none" / "new", "--output"), Error);
}

TEST_F(Files, MappedFileHoldsTheBytesAndRefusesEmptyFiles) {
  write_file_atomic(folder_ / "m", "mapped");
  const MappedFile file(folder_ / "m");
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()),
            "mapped");
  file.release(file.bytes());
  EXPECT_EQ(file.bytes()[0], std::byte{'m'});  // comes back from the page cache
  write_file_atomic(folder_ / "empty", "");
  EXPECT_THROW(MappedFile(folder_ / "empty"), Error);
}

TEST_F(Files, PartsOfAMappedFileAreReadFromTheFile) {
  write_file_atomic(folder_ / "m", "mapped");
  const MappedFile file(folder_ / "m");
  std::array<std::byte, 4> part{};
  file.read(file.bytes().subspan(2, 4), part.data());
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(part.data()), part.size()), "pped");
  EXPECT_TRUE(file.holds(file.bytes().last(1)));
  EXPECT_FALSE(file.holds(part));
  fs::resize_file(folder_ / "m", 5);  // a mapping would end in SIGBUS where it held whole pages
  EXPECT_THROW(file.read(file.bytes().subspan(2, 4), part.data()), Error);
}

TEST(Json, IsReadStrictly) {
  EXPECT_EQ(parse_json(R"({"a": [1, 2]})", "x")["a"].size(), 2U);
  for (const char* bad : {"", "{", R"({"a":1,"a":2})", "[1] 2", "{\"a\":\"\xff\"}", "[1e999]"}) {
    EXPECT_THROW(parse_json(bad, "x"), Error) << bad;
  }
  EXPECT_THROW(parse_json(std::string(100, '[') + std::string(100, ']'), "x"), Error);
}

TEST_F(Files, AWritableFolderIsMadeAndAFileInTheWayIsAnError) {
  ensure_writable_directory(folder_ / "a" / "b");
  EXPECT_TRUE(fs::is_directory(folder_ / "a" / "b"));
  write_file_atomic(folder_ / "file", "x");
  EXPECT_THROW(ensure_writable_directory(folder_ / "file"), Error);
  EXPECT_THROW(ensure_writable_directory(folder_ / "file" / "below"), Error);
}

TEST_F(Files, ANewFolderIsRefusedWhereNoneCanBeMade) {
  EXPECT_NO_THROW(check_new_folder("", "--out"));
  EXPECT_NO_THROW(check_new_folder(folder_ / "new" / "below", "--out"));
  EXPECT_TRUE(fs::is_empty(folder_));
  write_file_atomic(folder_ / "file", "x");
  EXPECT_THROW(check_new_folder(folder_ / "file", "--out"), Error);
  EXPECT_THROW(check_new_folder(folder_ / "file" / "below", "--out"), Error);
  EXPECT_THROW(check_new_folder("/proc/sentinel/new", "--out"), Error);
}

TEST(Sha256, MatchesThePublishedVector) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Printable, KeepsMessagesOnOneLine) {
  EXPECT_EQ(printable("a\nb\xff"), "a?b?");
  EXPECT_EQ(printable("abcdef", 3), "abc...");
}

TEST(AlignedBuffer, IsZeroedAndAligned) {
  for (size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{5} << 20}) {
    AlignedBuffer buffer(bytes);
    EXPECT_EQ(buffer.size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % (bytes > (4U << 20) ? 2U << 20 : 64U),
              0U);
    for (size_t i = 0; i < bytes; i += 997) EXPECT_EQ(buffer.data()[i], std::byte{0});
    AlignedBuffer moved = std::move(buffer);
    EXPECT_EQ(moved.size(), bytes);
  }
  EXPECT_THROW(AlignedBuffer(size_t{1} << 47), Error);
}

}  // namespace
}  // namespace sentinel
