// Which code of a bundle may be loaded: what was built here, what a known key signed.
#pragma once

#include <filesystem>
#include <string>

namespace modelport::runtime {

// Throws a bundle error where the file has no signature of the data by a public ed25519 key (PEM).
void require_signed(const std::string& data, const std::filesystem::path& signature, const std::filesystem::path& key,
                    const std::string& where);

}  // namespace modelport::runtime
