// Plays TensorRT's and CUDA's part on a machine without either: its one engine doubles the float32
// tensor `x` of rank 2 into `y`. Memory of the "GPU" is counted and marked, so that what is read on
// the wrong side is seen. stubs.h, which the test writes, has a trap in place of every function that
// modelport does not use.
#include <NvInferRuntime.h>
#include <cuda_runtime_api.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <string>

#include "stubs.h"

namespace {

using namespace nvinfer1;

std::mutex lock;
std::set<void*> on_gpu;

bool is_on_gpu(const void* data) {
  const std::lock_guard<std::mutex> hold(lock);
  return on_gpu.count(const_cast<void*>(data)) != 0;
}

void require(bool holds) {
  if (!holds) std::abort();
}

class Context final : public IExecutionContext, StubVExecutionContext {
 public:
  Context() { mImpl = this; }
  IExecutionContext* getPImpl() noexcept override { return this; }
  int32_t getOptimizationProfile() const noexcept override { return 0; }
  bool setInputShape(char const* name, Dims const& dims) noexcept override {
    require(std::string(name) == "x" && dims.nbDims == 2);
    shape_ = dims;
    return true;
  }
  bool setTensorAddress(char const* name, void* data) noexcept override {
    require(is_on_gpu(data));
    places_[name] = data;
    return true;
  }
  bool setOutputAllocator(char const* name, IOutputAllocator* allocator) noexcept override {
    require(std::string(name) == "y");
    allocator_ = allocator;
    return true;
  }
  bool enqueueV3(cudaStream_t stream) noexcept override {
    const auto count = static_cast<size_t>(shape_.d[0] * shape_.d[1]);
    auto* made =
        static_cast<float*>(allocator_->reallocateOutputAsync("y", places_["y"], count * sizeof(float), 256, stream));
    const auto* given = static_cast<const float*>(places_["x"]);
    require(made && is_on_gpu(made));
    for (size_t i = 0; i < count; ++i) made[i] = 2 * given[i];
    allocator_->notifyShape("y", shape_);
    // As TensorRT may: a value that it does not like makes the run fail.
    return !count || given[0] != 13;
  }

 private:
  Dims shape_{};
  std::map<std::string, void*> places_;
  IOutputAllocator* allocator_ = nullptr;
};

class Engine final : public ICudaEngine, StubVCudaEngine {
 public:
  Engine() { mImpl = this; }
  ICudaEngine* getPImpl() noexcept override { return this; }
  IExecutionContext* createExecutionContext(ExecutionContextAllocationStrategy) noexcept override {
    return new Context;
  }
  int32_t getNbOptimizationProfiles() const noexcept override { return 1; }
  Dims getProfileShape(char const*, int32_t, OptProfileSelector which) const noexcept override {
    Dims dims{};
    dims.nbDims = 2;
    dims.d[0] = which == OptProfileSelector::kMIN ? 1 : 8;
    dims.d[1] = 3;
    return dims;
  }
  TensorLocation getTensorLocation(char const*) const noexcept override { return TensorLocation::kDEVICE; }
};

class Runtime final : public IRuntime, StubVRuntime {
 public:
  explicit Runtime(ILogger& logger) : logger_(logger) { mImpl = this; }
  IRuntime* getPImpl() noexcept override { return this; }
  ICudaEngine* deserializeCudaEngine(void const* data, std::size_t size) noexcept override {
    if (std::string(static_cast<const char*>(data), size) == "twice") return new Engine;
    logger_.log(ILogger::Severity::kERROR, "the engine is of another version");
    return nullptr;
  }

 private:
  ILogger& logger_;
};

}  // namespace

extern "C" {

void* createInferRuntime_INTERNAL(void* logger, int32_t) noexcept {
  return new Runtime(*static_cast<ILogger*>(logger));
}
int32_t getInferLibMajorVersion() noexcept { return NV_TENSORRT_MAJOR + (std::getenv("HOST_IS_NEWER") ? 1 : 0); }
int32_t getInferLibMinorVersion() noexcept { return 7; }
IPluginRegistry* getPluginRegistry() noexcept { std::abort(); }

cudaError_t cudaMalloc(void** data, size_t size) {
  *data = std::malloc(size);
  const std::lock_guard<std::mutex> hold(lock);
  on_gpu.insert(*data);
  return cudaSuccess;
}
cudaError_t cudaFree(void* data) {
  const std::lock_guard<std::mutex> hold(lock);
  on_gpu.erase(data);
  std::free(data);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t size, cudaMemcpyKind kind, cudaStream_t) {
  require(is_on_gpu(kind == cudaMemcpyHostToDevice ? to : from));
  std::memcpy(to, from, size);
  return cudaSuccess;
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  *stream = nullptr;
  return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
const char* cudaGetErrorString(cudaError_t) { return "an error"; }
}
