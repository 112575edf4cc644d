// Code of a bundle that may be loaded: sealed copies of the bytes that were checked.
#pragma once

#include <string>

#include "beneath.h"

namespace modelport::runtime {

// A file in memory that nobody can change any more. Only `Bundle::trusted_code` makes it; what loads
// libraries and engines takes nothing else.
class TrustedCode {
 public:
  const std::string& where() const { return where_; }
  // A path for the loader of libraries, valid for the life of the process.
  std::string path() const;
  std::string read() const;

 private:
  friend struct Bundle;
  // Copies a file below a folder; throws a bundle error where its bytes have another digest.
  TrustedCode(const std::filesystem::path& folder, const std::string& name, const std::string& sha256,
              const std::string& bundle);

  std::string where_;
  std::string sha256_;
  Descriptor file_;
};

}  // namespace modelport::runtime
