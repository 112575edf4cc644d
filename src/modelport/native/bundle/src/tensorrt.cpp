#include "tensorrt.h"

#include <dlfcn.h>

#include <cstdlib>

#include "error.h"

namespace modelport::runtime {
namespace {

const char* const remedy = "install TensorRT's libraries, or set MODELPORT_TENSORRT to the file of libnvinfer";

template <class Function>
Function find(void* library, const char* name, const std::string& file) {
  const auto found = reinterpret_cast<Function>(dlsym(library, name));
  if (!found) throw build_error("this is no library of TensorRT", {file, std::string("it has no ") + name, remedy});
  return found;
}

TensorRt open_library() {
  constexpr int32_t major = NV_TENSORRT_MAJOR;
  const char* chosen = std::getenv("MODELPORT_TENSORRT");
  const std::string file = chosen ? chosen : "libnvinfer.so." + std::to_string(major);
  void* library = dlopen(file.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw build_error("TensorRT cannot be opened", {file, dlerror(), remedy});
  using Number = int32_t (*)();
  const int32_t found = find<Number>(library, "getInferLibMajorVersion", file)();
  const std::string version =
      std::to_string(found) + "." + std::to_string(find<Number>(library, "getInferLibMinorVersion", file)());
  // Its classes are laid out otherwise in every major version.
  if (found != major)
    throw build_error(
        "modelport was built for TensorRT " + std::to_string(major) + ", this is " + version,
        {file, {}, "build modelport with the headers of this version, or install TensorRT " + std::to_string(major)});
  return {version, find<void* (*)(void*, int32_t)>(library, "createInferRuntime_INTERNAL", file),
          find<nvinfer1::IPluginRegistry* (*)()>(library, "getPluginRegistry", file)};
}

}  // namespace

const TensorRt& TensorRt::open() {
  static const TensorRt opened = open_library();
  return opened;
}

nvinfer1::IRuntime* TensorRt::create_runtime(nvinfer1::ILogger& logger) const {
  return static_cast<nvinfer1::IRuntime*>(create(&logger, NV_TENSORRT_VERSION));
}

}  // namespace modelport::runtime
