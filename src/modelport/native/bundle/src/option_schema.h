// The options that a manifest may record for an engine: types, ranges, and files by name. An option
// never is a path. `bundle/option_schema.py` says the same.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <set>
#include <string>

namespace modelport::runtime {

// Throws std::invalid_argument where an option of a backend is unknown, of another type or out of
// range, or names a file that is not one of the engine's.
void require_options(const std::string& backend, const nlohmann::json& options, const std::set<std::string>& files);

}  // namespace modelport::runtime
