// SHA-256, by OpenSSL.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

namespace modelport::runtime {

// In lower-case hexadecimal digits.
std::string sha256(const void* data, size_t size);
// Of a file's content; throws a bundle error where it cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace modelport::runtime
