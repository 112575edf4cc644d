#include "beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <vector>

namespace modelport::runtime {
namespace {

namespace fs = std::filesystem;

constexpr int folder_flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
// A FIFO that nobody writes to would block the call for ever.
constexpr int file_flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW;

int open_by_parts(int folder, const std::string& name) {
  Descriptor here(dup(folder));
  for (size_t begin = 0; here;) {
    const size_t end = name.find('/', begin);
    const std::string part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") {
      errno = EINVAL;
      return -1;
    }
    if (end == std::string::npos) return openat(here.get(), part.c_str(), file_flags);
    here = Descriptor(openat(here.get(), part.c_str(), folder_flags | O_NOFOLLOW));
    begin = end + 1;
  }
  return -1;
}

// openat2 (Linux 5.6) does in one call what opening by parts does.
int open_at(int folder, const std::string& name) {
  open_how how{};
  how.flags = file_flags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  const long opened = syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how);
  if (opened >= 0 || (errno != ENOSYS && errno != EPERM)) return static_cast<int>(opened);
  return open_by_parts(folder, name);
}

bool is_closed(const fs::path& path) {
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0 || (status.st_uid != 0 && status.st_uid != getuid())) return false;
  if (S_ISLNK(status.st_mode) || (status.st_mode & S_ISVTX)) return true;
  const bool own_group = status.st_gid == getgid() && getgid() == getuid();
  return !(status.st_mode & (S_IWOTH | (own_group ? 0 : S_IWGRP)));
}

}  // namespace

Descriptor::~Descriptor() {
  if (number_ >= 0) close(number_);
}

Descriptor open_beneath(const fs::path& folder, const std::string& name) {
  errno = EINVAL;
  if (name.empty() || name.find('\0') != std::string::npos) return Descriptor(-1);
  const Descriptor here(open(folder.c_str(), folder_flags));
  if (!here) return Descriptor(-1);
  Descriptor file(open_at(here.get(), name));
  struct stat status{};
  if (!file || fstat(file.get(), &status) != 0) return Descriptor(-1);
  if (S_ISREG(status.st_mode)) return file;
  errno = EINVAL;
  return Descriptor(-1);
}

bool read_all(const Descriptor& file, const std::function<void(const char*, size_t)>& consume) {
  std::vector<char> buffer(1 << 20);
  for (;;) {
    const ssize_t got = read(file.get(), buffer.data(), buffer.size());
    if (got == 0) return true;
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return false;
    consume(buffer.data(), static_cast<size_t>(got));
  }
}

bool is_private(const fs::path& folder) {
  if (!folder.is_absolute()) return false;
  std::error_code failed;
  const fs::path real = fs::canonical(folder, failed);
  if (failed) return false;
  for (const fs::path& path : {folder, real}) {
    fs::path here = "/";
    if (!is_closed(here)) return false;
    for (const fs::path& part : path.relative_path()) {
      here /= part;
      if (!part.empty() && !is_closed(here)) return false;
    }
  }
  return true;
}

}  // namespace modelport::runtime
