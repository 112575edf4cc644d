// TensorRT, opened when it is needed: one build runs where it is not.
#pragma once

#include <NvInferRuntime.h>

#include <string>

namespace modelport::runtime {

struct TensorRt {
  // Opens it once. Throws a build error where it is not there, or of another major version than the
  // headers that this was built with.
  static const TensorRt& open();

  nvinfer1::IRuntime* create_runtime(nvinfer1::ILogger& logger) const;

  std::string version;
  void* (*create)(void* logger, int32_t version);
  nvinfer1::IPluginRegistry* (*plugin_registry)();
};

}  // namespace modelport::runtime
