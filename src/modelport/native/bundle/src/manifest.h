// `manifest.json`: what a bundle holds.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "signature.h"
#include "target.h"

namespace modelport::runtime {

constexpr int bundle_format = 2;
constexpr const char* manifest_name = "manifest.json";
constexpr const char* seal_name = "manifest.sig";
// Stands for the platform in the paths of libraries.
constexpr const char* any_platform = "{platform}";
constexpr const char* copy_again = "copy the bundle again, or deploy again";

// What an engine of a target is made from: paths in the bundle, and options of its backend.
struct Artifact {
  Target target;
  std::string graph;
  std::vector<std::string> files;
  std::string options;  // a JSON object
};

struct Manifest {
  struct File {
    std::string sha256;
    uint64_t bytes = 0;
  };

  // Reads the file's bytes; `where` is the bundle, for messages.
  static Manifest parse(const std::string& data, const std::string& where);

  // Files that an engine may run as code: those that it names beside its graph, and whatever lies
  // in the graph's folder and is neither a graph nor weights.
  std::vector<std::string> code_of(const Artifact& artifact) const;

  std::vector<TensorSpec> inputs, outputs;
  std::map<std::string, Dim> dims;
  std::vector<Artifact> artifacts;
  std::map<std::string, File> files;
  bool is_pipeline = false;  // of several models, each a bundle of its own
};

// Whether a path stays inside the folder that it is relative to, written in the plain way.
bool is_inside(const std::string& path);

}  // namespace modelport::runtime
