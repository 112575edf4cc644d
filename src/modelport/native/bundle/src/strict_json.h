// JSON from strangers (RFC 8259), read in linear time and within limits. `bundle/strict_json.py`
// reads the same, and refuses the same.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace modelport::runtime {

constexpr size_t max_depth = 64;
constexpr size_t max_values = size_t{1} << 20;

// The value of a document in UTF-8. Throws std::invalid_argument where it is no JSON, is nested too
// deeply, has too many values, a name twice in an object, a number that 64 bits do not hold, or a
// text that `is_text` refuses.
nlohmann::json read_json(const std::string& data);

// Whether a text in UTF-8 has none of the characters that move the cursor of a terminal, begin a
// line, or turn text around. A tab and a line feed are allowed.
bool is_text(const std::string& text);

}  // namespace modelport::runtime
