#include "bundle.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <system_error>

#include "error.h"
#include "library_file.h"
#include "trust.h"

namespace modelport::runtime {
namespace {

namespace fs = std::filesystem;

fs::path make_temporary_folder() {
  std::error_code failed;
  const fs::path parent = fs::temp_directory_path(failed);
  std::string pattern = ((failed ? fs::path("/tmp") : parent) / "modelport-XXXXXX").string();
  if (!mkdtemp(pattern.data()))
    throw bundle_error("the zip file cannot be unpacked",
                       {pattern, "no temporary folder can be made", "set TMPDIR, or unpack it by hand"});
  return pattern;
}

}  // namespace

TemporaryFolder::TemporaryFolder() : path(make_temporary_folder()) {}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path, ignored);
}

std::optional<std::string> read_file(const fs::path& folder, const std::string& name, uint64_t limit,
                                     const std::string& where) {
  const Descriptor file = open_beneath(folder, name);
  if (!file && errno == ENOENT) return std::nullopt;
  std::string data;
  const bool good = file && read_all(file, [&](const char* piece, size_t size) {
                      data.append(piece, size);
                      if (data.size() > limit) throw bundle_error(name + " is too large", {where, {}, {}});
                    });
  if (!good) throw bundle_error(name + " cannot be read", {where, std::strerror(errno), {}});
  return data;
}

Bundle Bundle::open(const std::string& path, const std::string& key) {
  Bundle bundle;
  bundle.where = path;
  std::error_code failed;
  const fs::file_status status = fs::status(path, failed);
  if (!fs::exists(status)) throw usage_error("no such bundle: " + path);
  if (fs::is_directory(status)) {
    bundle.folder = path;
    if (!fs::exists(bundle.folder / manifest_name, failed))
      throw usage_error(path + " is not a bundle: it has no " + manifest_name, {{}, std::strerror(ENOENT), {}});
  } else {
    bundle.unpacked = std::make_unique<TemporaryFolder>();
    bundle.folder = bundle.unpacked->path;
    unpack(path, bundle.folder);
  }
  bundle.data = read_file(bundle.folder, manifest_name, manifest_limit, path).value_or("");
  bundle.manifest = Manifest::parse(bundle.data, path);
  bundle.signature = read_file(bundle.folder, seal_name, signature_limit, path);
  if (!key.empty()) {
    require_signed(bundle, key);
    bundle.signed_by_key = true;
  }
  check_files(bundle.folder, bundle.manifest, path);
  return bundle;
}

const Artifact& Bundle::choose(const std::string& target) const {
  if (manifest.is_pipeline)
    throw usage_error(where + " is a pipeline of several models, which C++ does not run",
                      {{}, {}, "load the folder of one of its stages, or run it from Python"});
  const auto& artifacts = manifest.artifacts;
  const auto wanted = target.empty() ? std::optional<Target>() : Target::parse(target);
  std::vector<std::string> known;
  for (const Artifact& artifact : artifacts) {
    if (!wanted || artifact.target == *wanted) return artifact;
    known.push_back(artifact.target.text());
  }
  throw usage_error("the bundle has no engine" + (wanted ? " for " + wanted->text() : ""),
                    {{}, {}, "it has: " + (known.empty() ? "none" : joined(known))});
}

std::string Bundle::here(const std::string& name) const {
  std::string own = name;
  for (size_t at = own.find(any_platform); at != std::string::npos; at = own.find(any_platform))
    own.replace(at, std::strlen(any_platform), platform_name());
  if (own == name || manifest.files.count(own)) return own;
  throw bundle_error("the bundle has no library of operators for " + platform_name(),
                     {where + ": " + own,
                      {},
                      "build it here, from the sources in the bundle: modelport bundle add " + where + " --operators"});
}

}  // namespace modelport::runtime
