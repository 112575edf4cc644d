// Files of native libraries, and the platform that they are for.
#pragma once

#include <filesystem>
#include <string>

namespace modelport::runtime {

// This platform's name, such as linux-x86_64.
std::string platform_name();

// Throws an operator error where a file is no library for this platform, or not all of one: loading
// one that was cut short ends the process. `where` is the file that it is a copy of.
void require_loadable(const std::filesystem::path& path, const std::filesystem::path& where);

}  // namespace modelport::runtime
