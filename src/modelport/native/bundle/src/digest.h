// SHA-256, by OpenSSL.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

#include "beneath.h"

struct evp_md_ctx_st;

namespace modelport::runtime {

class Digest {
 public:
  Digest();
  void add(const void* data, size_t size);
  // In lower-case hexadecimal digits; once.
  std::string hexadecimal();

 private:
  std::unique_ptr<evp_md_ctx_st, void (*)(evp_md_ctx_st*)> context_;
};

// In lower-case hexadecimal digits.
std::string sha256(const void* data, size_t size);
// Of the file of a bundle; throws a bundle error where it cannot be read.
std::string sha256_of_file(const std::filesystem::path& folder, const std::string& name);

}  // namespace modelport::runtime
