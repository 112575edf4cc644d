#include "library_file.h"

#include <elf.h>
#include <sys/utsname.h>

#include <cstring>
#include <fstream>
#include <system_error>

#include "error.h"

namespace modelport::runtime {
namespace {

namespace fs = std::filesystem;

std::string machine() {
  utsname names{};
  uname(&names);
  return names.machine;
}

// Why a file cannot be loaded, by its header: System V Application Binary Interface, chapter 4.
std::string unfit(const fs::path& path) {
  Elf64_Ehdr header{};
  std::ifstream file(path, std::ios::binary);
  if (!file) return "it cannot be read: " + std::string(std::strerror(errno));
  file.read(reinterpret_cast<char*>(&header), sizeof header);
  const auto got = static_cast<size_t>(file.gcount());
  if (got < SELFMAG || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) return "it is no shared library of Linux";
  if (got < sizeof header) return "it was cut short";
  const int own = machine() == "x86_64" ? EM_X86_64 : machine() == "aarch64" ? EM_AARCH64 : header.e_machine;
  if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != own)
    return "it was built for another processor than " + machine();
  const uint64_t needed = header.e_shoff + uint64_t{header.e_shentsize} * header.e_shnum;
  const uint64_t size = fs::file_size(path);
  if (needed > size) return "it was cut short: it has " + grouped(size) + " of " + grouped(needed) + " bytes";
  return "";
}

}  // namespace

void require_loadable(const fs::path& path, const fs::path& where) {
  const std::string why = unfit(path);
  if (why.empty()) return;
  throw operator_error(where.filename().string() + " is not a library of operators for this machine",
                       {where.string(), why, "build it here: modelport ops build"});
}

std::string platform_name() { return "linux-" + machine(); }

}  // namespace modelport::runtime
