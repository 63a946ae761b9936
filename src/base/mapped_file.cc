#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace sentinel {

// O_NONBLOCK: opening a pipe would wait for its writer; it is refused below.
MappedFile::MappedFile(const std::filesystem::path& path) : path_(path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) throw bad_input("{}: cannot open: {}", path.string(), std::strerror(errno));
  struct stat info {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    close(fd);
    throw bad_input("{}: not a regular file", path.string());
  }
  if (info.st_size == 0) {
    close(fd);
    throw bad_input("{}: the file is empty; copy or download it again", path.string());
  }
  size_ = static_cast<size_t>(info.st_size);
  void* map = mmap(nullptr, size_, PROT_READ, MAP_SHARED, fd, 0);
  if (map == MAP_FAILED) {
    const int error = errno;
    close(fd);
    throw runtime_error("{}: cannot map into memory: {}", path.string(), std::strerror(error));
  }
  file_ = fd;
  data_ = static_cast<const std::byte*>(map);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::exchange(other.file_, -1)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile::~MappedFile() {
  if (data_) munmap(const_cast<std::byte*>(data_), size_);
  if (file_ >= 0) close(file_);
}

void MappedFile::read(std::span<const std::byte> part, std::byte* out) const {
  for (size_t done = 0; done < part.size();) {
    const auto at = static_cast<off_t>(part.data() - data_ + static_cast<ptrdiff_t>(done));
    const ssize_t n = pread(file_, out + done, part.size() - done, at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      throw runtime_error("{}: cannot read: {}", path_.string(),
                          n < 0 ? std::strerror(errno) : "the file has been cut short");
    }
    done += static_cast<size_t>(n);
  }
}

void MappedFile::release(std::span<const std::byte> part) const {
  if (part.empty()) return;
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const auto begin = reinterpret_cast<uintptr_t>(part.data()) & ~(page - 1);
  const auto end = reinterpret_cast<uintptr_t>(part.data() + part.size());
  madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

}  // namespace sentinel
