#include "digest.h"

#include <openssl/evp.h>

#include <cstdio>
#include <memory>
#include <new>
#include <vector>

#include "error.h"

namespace modelport::runtime {
namespace {

class Digest {
 public:
  Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
    if (!context_ || !EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr)) throw std::bad_alloc();
  }
  void add(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }
  std::string hexadecimal() {
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(context_.get(), bytes, &size);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) {
      char code[3];
      std::snprintf(code, sizeof code, "%02x", bytes[i]);
      text += code;
    }
    return text;
  }

 private:
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context_;
};

}  // namespace

std::string sha256(const void* data, size_t size) {
  Digest digest;
  digest.add(data, size);
  return digest.hexadecimal();
}

std::string sha256_of_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), std::fclose);
  if (!file) throw bundle_error(path.filename().string() + " cannot be read", {path.string(), {}, {}});
  Digest digest;
  std::vector<char> buffer(1 << 20);
  while (const size_t got = std::fread(buffer.data(), 1, buffer.size(), file.get())) digest.add(buffer.data(), got);
  if (std::ferror(file.get()))
    throw bundle_error(path.filename().string() + " cannot be read", {path.string(), {}, {}});
  return digest.hexadecimal();
}

}  // namespace modelport::runtime
