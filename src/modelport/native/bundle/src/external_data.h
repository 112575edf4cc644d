// External data of ONNX files, found without a library: whatever ONNX Runtime may read is checked
// first. `files/external_data.py` does the same.
#pragma once

#include <string>

#include "bundle.h"

namespace modelport::runtime {

// Throws a build error where a graph of a bundle names, for its weights, what is no file of the
// bundle.
void require_external_data(const Bundle& bundle, const std::string& graph);

}  // namespace modelport::runtime
