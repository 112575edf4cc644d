// Which code of a bundle may be loaded: what was built here, what a known key signed.
#pragma once

#include <filesystem>
#include <string>

namespace modelport::runtime {

struct Bundle;

// Throws a bundle error where a bundle is not signed by a public ed25519 key (PEM).
void require_signed(const Bundle& bundle, const std::filesystem::path& key);

}  // namespace modelport::runtime
