#include "trusted_code.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>

#include "bundle.h"
#include "digest.h"
#include "error.h"

namespace modelport::runtime {
namespace {

Error unreadable(const std::string& name, const std::string& bundle) {
  return bundle_error(name + " cannot be read", {bundle, std::strerror(errno), {}});
}

void write_all(int sink, const char* data, size_t size) {
  while (size) {
    const ssize_t done = write(sink, data, size);
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) throw run_error("a copy of code does not fit into memory", {{}, std::strerror(errno), {}});
    data += done;
    size -= static_cast<size_t>(done);
  }
}

}  // namespace

TrustedCode::TrustedCode(const std::filesystem::path& folder, const std::string& name, const std::string& sha256,
                         const std::string& bundle)
    : where_((folder / name).string()), sha256_(sha256),
      file_(memfd_create(std::filesystem::path(name).filename().c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING)) {
  const Descriptor source = open_beneath(folder, name);
  if (!source || !file_) throw unreadable(name, bundle);
  Digest digest;
  const bool good = read_all(source, [&](const char* data, size_t size) {
    digest.add(data, size);
    write_all(file_.get(), data, size);
  });
  if (!good || fcntl(file_.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) != 0)
    throw unreadable(name, bundle);
  if (digest.hexadecimal() != sha256) throw altered(name, bundle);
}

std::string TrustedCode::path() const {
  // Loaders know a library by its path, and the number of a closed descriptor is used again: what was
  // loaded stays open.
  static auto& lock = *new std::mutex;
  static auto& loaded = *new std::map<std::string, int>;
  const std::lock_guard<std::mutex> hold(lock);
  const std::string key = std::filesystem::path(where_).filename().string() + ":" + sha256_;
  auto found = loaded.find(key);
  if (found == loaded.end()) {
    const int kept = fcntl(file_.get(), F_DUPFD_CLOEXEC, 0);
    if (kept < 0) throw run_error("a library cannot be opened", {where_, std::strerror(errno), {}});
    found = loaded.emplace(key, kept).first;
  }
  return "/proc/self/fd/" + std::to_string(found->second);
}

std::string TrustedCode::read() const {
  struct stat status{};
  fstat(file_.get(), &status);
  std::string data(static_cast<size_t>(status.st_size), '\0');
  size_t done = 0;
  while (done < data.size()) {
    const ssize_t got = pread(file_.get(), data.data() + done, data.size() - done, static_cast<off_t>(done));
    if (got <= 0) throw run_error("an engine cannot be read", {where_, std::strerror(errno), {}});
    done += static_cast<size_t>(got);
  }
  return data;
}

}  // namespace modelport::runtime
