#include "onnxruntime.h"

#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>
#include <vector>

#include "error.h"

namespace modelport::ort {
namespace {

using runtime::build_error;

constexpr int32_t silent = 4;
constexpr int32_t arena = 1, default_memory = 0;

const char* const remedy =
    "give the file of libonnxruntime, or set MODELPORT_ONNXRUNTIME to it; "
    "`pip install onnxruntime` has one in onnxruntime/capi";

const char* name_of(int32_t code) {
  constexpr const char* names[] = {"OK",
                                   "FAIL",
                                   "INVALID_ARGUMENT",
                                   "NO_SUCHFILE",
                                   "NO_MODEL",
                                   "ENGINE_ERROR",
                                   "RUNTIME_EXCEPTION",
                                   "INVALID_PROTOBUF",
                                   "MODEL_LOADED",
                                   "NOT_IMPLEMENTED",
                                   "INVALID_GRAPH",
                                   "EP_FAIL"};
  const auto place = static_cast<size_t>(code);
  return place < sizeof names / sizeof *names ? names[place] : "GENERAL ERROR";
}

void require(const Api& api, Status* status) {
  if (status) throw build_error("ONNX Runtime cannot be used", {{}, explain(api, status), remedy});
}

void* open_library(const std::string& path) {
  // Its builds that report home read this once, when they are opened.
  setenv("ORT_DISABLE_TELEMETRY", "1", 0);
  const char* chosen = std::getenv("MODELPORT_ONNXRUNTIME");
  const std::string file = !path.empty() ? path : chosen ? chosen : "";
  const auto candidates = file.empty() ? std::vector<std::string>{"libonnxruntime.so", "libonnxruntime.so.1"}
                                       : std::vector<std::string>{file};
  std::string why;
  for (const std::string& name : candidates) {
    if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    if (why.empty()) why = dlerror();
  }
  throw build_error("ONNX Runtime cannot be opened", {file, why, remedy});
}

Runtime make_runtime(const std::string& path) {
  void* library = open_library(path);
  const auto get_base = reinterpret_cast<const ApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (!get_base) throw build_error("this is no library of ONNX Runtime", {path, "it has no OrtGetApiBase", remedy});
  const ApiBase& base = *get_base();
  const void* table = base.get_api(api_version);
  if (!table)
    throw build_error("modelport needs ONNX Runtime >= 1.17, this is " + std::string(base.version()),
                      {path, {}, remedy});
  Runtime made{Api(table), base.version()};
  const Api& api = made.api;
  require(api, api.call(CreateEnv, silent, "modelport", &made.env));
  require(api, api.call(DisableTelemetryEvents, static_cast<const Env*>(made.env)));
  require(api, api.call(CreateCpuMemoryInfo, arena, default_memory, &made.memory));
  require(api, api.call(GetAllocatorWithDefaultOptions, &made.allocator));
  return made;
}

}  // namespace

std::string explain(const Api& api, Status* status) {
  const auto code = api.call<int32_t>(GetErrorCode, static_cast<const Status*>(status));
  const std::string said = api.call<const char*>(GetErrorMessage, static_cast<const Status*>(status));
  api.release(status);
  return runtime::one_line("[ONNXRuntimeError] : " + std::to_string(code) + " : " + name_of(code) + " : " + said);
}

const Runtime& Runtime::open(const std::string& path) {
  // Never taken down: threads of ONNX Runtime may outlive static objects.
  static auto& lock = *new std::mutex;
  static auto& opened = *new std::map<std::string, Runtime>;
  const std::lock_guard<std::mutex> hold(lock);
  const auto found = opened.find(path);
  return found != opened.end() ? found->second : opened.emplace(path, make_runtime(path)).first->second;
}

}  // namespace modelport::ort
