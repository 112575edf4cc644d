#include <zip.h>

#include <fstream>
#include <memory>

#include "bundle.h"
#include "error.h"

namespace modelport::runtime {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t free_bytes = uint64_t{1} << 30;
// A zip file of more than `free_bytes` unpacked may be that many times as large as packed.
constexpr uint64_t expansion = 100;
constexpr uint32_t type_bits = 0170000, plain_file = 0100000, directory = 0040000;

struct Entry {
  zip_uint64_t index;
  uint64_t bytes;
};

class Archive {
 public:
  explicit Archive(const fs::path& path) : where_(path.string()), zip_(nullptr, zip_discard) {
    int code = 0;
    zip_.reset(zip_open(path.c_str(), ZIP_RDONLY | ZIP_CHECKCONS, &code));
    if (zip_) {
      char start[4] = {};
      std::ifstream(path, std::ios::binary).read(start, sizeof start);
      if (zip_get_num_entries(zip_.get(), 0) > 0 && std::string(start, sizeof start) != "PK\x03\x04")
        throw bundle_error("the zip file has bytes before its first entry", {where_, {}, {}});
      return;
    }
    zip_error_t error;
    zip_error_init_with_code(&error, code);
    const std::string why = zip_error_strerror(&error);
    zip_error_fini(&error);
    if (code == ZIP_ER_NOZIP) throw usage_error(where_ + " is neither a bundle nor an ONNX file");
    throw damaged(why);
  }

  Error damaged(const std::string& why) const { return bundle_error("the zip file is damaged", {where_, why, {}}); }

  // The files by name.
  std::map<std::string, Entry> entries() const {
    std::map<std::string, Entry> found;
    const zip_int64_t count = zip_get_num_entries(zip_.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      const auto index = static_cast<zip_uint64_t>(i);
      zip_stat_t status;
      if (zip_stat_index(zip_.get(), index, 0, &status) != 0 || !(status.valid & ZIP_STAT_NAME) ||
          !(status.valid & ZIP_STAT_SIZE))
        throw damaged(zip_strerror(zip_.get()));
      std::string name = status.name;
      const bool is_folder = !name.empty() && name.back() == '/';
      if (is_folder) name.pop_back();
      if (!is_inside(name)) throw bundle_error(quoted(status.name) + " lies outside the bundle", {where_, {}, {}});
      require_plain(index, name);
      if ((status.valid & ZIP_STAT_ENCRYPTION_METHOD) && status.encryption_method != ZIP_EM_NONE)
        throw bundle_error(name + " is encrypted", {where_, {}, {}});
      if (is_folder) continue;
      if (!found.emplace(name, Entry{index, status.size}).second)
        throw bundle_error(name + " is in the zip file twice", {where_, {}, {}});
    }
    return found;
  }

  // Unpacks a file, and stops where it is larger than it may be.
  void extract(const std::string& name, const Entry& entry, const fs::path& folder, uint64_t limit) const {
    const fs::path place = folder / name;
    fs::create_directories(place.parent_path());
    const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> source(zip_fopen_index(zip_.get(), entry.index, 0),
                                                                   zip_fclose);
    if (!source) throw damaged(zip_strerror(zip_.get()));
    std::ofstream sink(place, std::ios::binary);
    std::vector<char> buffer(1 << 20);
    uint64_t left = limit;
    for (;;) {
      const zip_int64_t got = zip_fread(source.get(), buffer.data(), buffer.size());
      if (got < 0) throw damaged(zip_file_strerror(source.get()));
      if (got == 0) break;
      if (static_cast<uint64_t>(got) > left)
        throw bundle_error(name + " has more than the " + grouped(limit) + " bytes that it may have", {where_, {}, {}});
      left -= static_cast<uint64_t>(got);
      sink.write(buffer.data(), got);
    }
    sink.close();
    if (!sink) throw bundle_error(name + " cannot be unpacked", {place.string(), "the disk may be full", {}});
  }

 private:
  void require_plain(zip_uint64_t index, const std::string& name) const {
    zip_uint8_t system = 0;
    zip_uint32_t attributes = 0;
    zip_file_get_external_attributes(zip_.get(), index, 0, &system, &attributes);
    const uint32_t type = (attributes >> 16) & type_bits;
    if (type != 0 && type != plain_file && type != directory)
      throw bundle_error(name + " is not a regular file", {where_, "a bundle has no links", {}});
  }

  std::string where_;
  std::unique_ptr<zip_t, void (*)(zip_t*)> zip_;
};

}  // namespace

Manifest unpack(const fs::path& path, const fs::path& folder) {
  const std::string where = path.string();
  const Archive archive(path);
  auto entries = archive.entries();
  const auto first = entries.find(manifest_name);
  if (first == entries.end()) throw usage_error(where + " is not a bundle: it has no " + manifest_name);
  archive.extract(manifest_name, first->second, folder, manifest_limit);
  entries.erase(first);
  Manifest manifest = Manifest::parse(read_file(folder, manifest_name, manifest_limit, where).value_or(""), where);
  uint64_t total = 0;
  for (const auto& [name, entry] : entries) {
    if (name != seal_name && !manifest.files.count(name))
      throw bundle_error(name + " is not in the bundle's manifest", {where, {}, {}});
    if (__builtin_add_overflow(total, entry.bytes, &total)) total = UINT64_MAX;
  }
  const uint64_t packed = fs::file_size(path);
  if (total > std::max(free_bytes, expansion * packed))
    throw bundle_error("the zip file would unpack to " + grouped(total) + " bytes",
                       {where, "it has " + grouped(packed) + ", and no model shrinks that much",
                        "unpack it by hand, if you trust it, and load the directory"});
  for (const auto& [name, entry] : entries)
    archive.extract(name, entry, folder, name == seal_name ? signature_limit : manifest.files.at(name).bytes);
  return manifest;
}

}  // namespace modelport::runtime
