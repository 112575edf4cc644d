// ONNX Runtime, found and opened at run time, by its C ABI alone.
#pragma once

#include <memory>
#include <string>

// The layout that the operators are built on, too: api_base, slots, Api.
#include "onnxruntime_abi.h"

namespace modelport::ort {

struct Env;
struct Session;
struct RunOptions;
struct MemoryInfo;
struct Allocator;

// Further places in the API; see Slot.
constexpr Slot GetErrorCode{1}, GetErrorMessage{2}, CreateEnv{3}, DisableTelemetryEvents{6}, CreateSession{7}, Run{9},
    CreateSessionOptions{10}, SetSessionLogSeverityLevel{22}, SetSessionGraphOptimizationLevel{23},
    SetIntraOpNumThreads{24}, RegisterCustomOpsLibrary{29}, CreateTensorAsOrtValue{48},
    CreateTensorWithDataAsOrtValue{49}, FillStringTensor{52}, GetStringTensorDataLength{53}, GetStringTensorContent{54},
    CreateCpuMemoryInfo{69}, GetAllocatorWithDefaultOptions{78}, ReleaseSession{95}, ReleaseValue{96},
    ReleaseSessionOptions{100}, AddSessionConfigEntry{130};

// An object of ONNX Runtime's that is released by the function of a slot.
struct Releaser {
  const Api* api;
  Slot slot;
  template <class T>
  void operator()(T* object) const {
    api->call<void>(slot, object);
  }
};
template <class T>
using Handle = std::unique_ptr<T, Releaser>;

// What ONNX Runtime says of a failure, as its binding for Python words it; releases the status.
std::string explain(const Api& api, Status* status);

// The library, opened once a path and kept for the life of the process.
struct Runtime {
  // Opens a file, or where the path is empty $MODELPORT_ONNXRUNTIME, or what the system finds.
  static const Runtime& open(const std::string& path);

  Api api;
  std::string version;
  Env* env = nullptr;
  MemoryInfo* memory = nullptr;
  Allocator* allocator = nullptr;
};

}  // namespace modelport::ort
