// Targets: where a model is to run, and in which precision.
#pragma once

#include <string>

namespace modelport::runtime {

struct Target {
  // Reads `backend[:token]...`; throws a usage error where a token is unknown or twice there.
  static Target parse(const std::string& text);

  std::string text() const;

  std::string backend;
  std::string device = "cpu";
  std::string provider;
  std::string precision = "fp32";
  std::string compute_capabilities;  // each with a colon before it
};

inline bool operator==(const Target& a, const Target& b) { return a.text() == b.text(); }
inline bool operator!=(const Target& a, const Target& b) { return !(a == b); }

}  // namespace modelport::runtime
