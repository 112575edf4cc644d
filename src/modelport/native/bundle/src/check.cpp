#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>

#include "bundle.h"
#include "digest.h"
#include "error.h"

namespace modelport::runtime {
namespace {

namespace fs = std::filesystem;

// Sizes of all files by path; links and devices are refused.
std::map<std::string, uint64_t> walk(const fs::path& folder, const std::string& where) {
  std::map<std::string, uint64_t> found;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder)) {
    const std::string name = entry.path().lexically_relative(folder).generic_string();
    const fs::file_type type = entry.symlink_status().type();
    if (type == fs::file_type::regular) found[name] = entry.file_size();
    else if (type != fs::file_type::directory)
      throw bundle_error(name + " is not a regular file",
                         {where, "a bundle has neither links nor devices", "copy the bundle with its files: cp -rL"});
  }
  return found;
}

void require_listed(const fs::path& folder, const Manifest& manifest, const std::string& where) {
  const auto found = walk(folder, where);
  for (const auto& [name, file] : manifest.files) {
    const auto place = found.find(name);
    if (place == found.end()) throw bundle_error(name + " is missing", {where, {}, copy_again});
    if (place->second != file.bytes) throw altered(name, where);
  }
  for (const auto& [name, size] : found)
    if (!manifest.files.count(name) && name != manifest_name && name != seal_name)
      throw bundle_error(name + " is not in the bundle's manifest", {where, {}, "remove the file"});
}

}  // namespace

Error altered(const std::string& name, const std::string& where) {
  return bundle_error(name + " was altered: its checksum does not match", {where, {}, copy_again});
}

void check_files(const fs::path& folder, const Manifest& manifest, const std::string& where) {
  try {
    require_listed(folder, manifest, where);
  } catch (const fs::filesystem_error& error) {
    throw bundle_error("the bundle cannot be read", {where, error.what(), {}});
  }
  struct Item {
    const std::string* name;
    const Manifest::File* file;
    std::string fault;
  };
  std::vector<Item> items;
  for (const auto& [name, file] : manifest.files) items.push_back({&name, &file, {}});
  // The largest first, so that threads end at about the same time.
  std::stable_sort(items.begin(), items.end(),
                   [](const Item& a, const Item& b) { return a.file->bytes > b.file->bytes; });
  std::atomic<size_t> next{0};
  const auto work = [&] {
    for (size_t i = next++; i < items.size(); i = next++) {
      try {
        if (sha256_of_file(folder, *items[i].name) != items[i].file->sha256) items[i].fault = "altered";
      } catch (const std::exception& error) {
        items[i].fault = error.what();
      }
    }
  };
  const size_t count = std::min<size_t>({4, items.size(), std::max(1u, std::thread::hardware_concurrency())});
  std::vector<std::thread> threads;
  for (size_t i = 1; i < count; ++i) threads.emplace_back(work);
  work();
  for (std::thread& thread : threads) thread.join();
  for (const Item& item : items) {
    if (item.fault == "altered") throw altered(*item.name, where);
    if (!item.fault.empty()) throw bundle_error(*item.name + " cannot be read", {where, one_line(item.fault), {}});
  }
}

}  // namespace modelport::runtime
