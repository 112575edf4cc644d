#include "digest.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "error.h"

namespace modelport::runtime {

Digest::Digest() : context_(EVP_MD_CTX_new(), EVP_MD_CTX_free) {
  if (!context_ || !EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr)) throw std::bad_alloc();
}

void Digest::add(const void* data, size_t size) { EVP_DigestUpdate(context_.get(), data, size); }

std::string Digest::hexadecimal() {
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

std::string sha256(const void* data, size_t size) {
  Digest digest;
  digest.add(data, size);
  return digest.hexadecimal();
}

std::string sha256_of_file(const std::filesystem::path& folder, const std::string& name) {
  Digest digest;
  const Descriptor file = open_beneath(folder, name);
  if (!file || !read_all(file, [&](const char* data, size_t size) { digest.add(data, size); }))
    throw bundle_error(std::strerror(errno));
  return digest.hexadecimal();
}

}  // namespace modelport::runtime
