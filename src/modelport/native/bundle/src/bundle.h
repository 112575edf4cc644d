// Opening a bundle: nothing of it is run before it is known to be whole.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "error.h"
#include "manifest.h"
#include "trusted_code.h"

namespace modelport::runtime {

// A directory that is removed with the object.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::filesystem::path path;
};

struct Bundle {
  // Opens a directory, or a zip file, which is unpacked for as long as the bundle is open, and
  // verifies every checksum; and the signature, where `key` names a file with a public key. Throws a
  // usage error where there is no bundle, a bundle error where there is one that is altered.
  static Bundle open(const std::string& path, const std::string& key);

  // What the engine of a target is made from; the first one's where the text is empty.
  const Artifact& choose(const std::string& target) const;
  // A path for the platform that this runs on: libraries are there for several.
  std::string here(const std::string& name) const;
  // Throws where code of the bundle would be run that this user did not build on this machine, no
  // known key signed, and the caller did not trust.
  void require_trusted(const Artifact& artifact) const;
  void require_trusted(const std::vector<std::string>& code) const;
  // A file that may be loaded as code: this is where trust is asked for.
  TrustedCode trusted_code(const std::string& name) const;

  std::string where;
  std::unique_ptr<TemporaryFolder> unpacked;
  std::filesystem::path folder;
  Manifest manifest;
  std::string data;                      // the bytes that the manifest was read from
  std::optional<std::string> signature;  // of these
  bool signed_by_key = false;
  bool trusted_by_caller = false;
};

// The content of a file below a folder; nothing where there is no file.
std::optional<std::string> read_file(const std::filesystem::path& folder, const std::string& name, uint64_t limit,
                                     const std::string& where);
constexpr uint64_t manifest_limit = 16 << 20;
constexpr uint64_t signature_limit = 4096;

// Unpacks a zip file into an empty folder, and gives its manifest.
Manifest unpack(const std::filesystem::path& path, const std::filesystem::path& folder);
// The error of a file that is not what the manifest says.
Error altered(const std::string& name, const std::string& where);
// Compares names, sizes and checksums of a folder's files with its manifest.
void check_files(const std::filesystem::path& folder, const Manifest& manifest, const std::string& where);

}  // namespace modelport::runtime
