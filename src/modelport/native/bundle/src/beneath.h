// Files opened below one folder, without following links on the way, and folders that only this user
// can write to.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

namespace modelport::runtime {

// A descriptor that is closed with the object.
class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  ~Descriptor();
  Descriptor(Descriptor&& other) noexcept : number_(other.number_) { other.number_ = -1; }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

// Opens a plain file below a folder, whose path has `/` between its parts. Where it is missing, a
// link, no plain file, or behind a link, the descriptor is none, and errno says why. The folder
// itself may be a link.
Descriptor open_beneath(const std::filesystem::path& folder, const std::string& name);

// Hands the bytes of a descriptor on, in pieces. False where reading fails; errno says why.
bool read_all(const Descriptor& file, const std::function<void(const char*, size_t)>& consume);

// Whether other users cannot put files into a folder: every folder and link on the way from the root
// belongs to root or to this user, and only this user can write there.
bool is_private(const std::filesystem::path& folder);

}  // namespace modelport::runtime
