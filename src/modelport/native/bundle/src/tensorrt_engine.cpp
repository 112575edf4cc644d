// Running TensorRT's engines. Not yet run on a GPU.

#include <cuda_runtime_api.h>

#include <map>
#include <mutex>
#include <nlohmann/json.hpp>

#include "engine.h"
#include "error.h"
#include "tensorrt.h"

namespace modelport::runtime {
namespace {

using nlohmann::json;

// Keeps what TensorRT says of its errors, and prints nothing.
class Logger final : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard<std::mutex> hold(lock_);
    try {
      said_ += (said_.empty() ? "" : "; ") + std::string(message);
    } catch (...) {
      // Without memory the message is lost; what failed is reported by its own function.
    }
  }
  std::string take() {
    const std::lock_guard<std::mutex> hold(lock_);
    return one_line(std::exchange(said_, {}));
  }

 private:
  std::mutex lock_;
  std::string said_;
};

Logger& logger() {
  static auto& kept = *new Logger;  // TensorRT may write to it to the end
  return kept;
}

void require(cudaError_t code, const char* what) {
  if (code != cudaSuccess) throw run_error("CUDA failed: " + std::string(what), {{}, cudaGetErrorString(code), {}});
}

// Memory of the GPU that grows as it is needed.
class DeviceMemory {
 public:
  DeviceMemory() = default;
  ~DeviceMemory() { cudaFree(data_); }
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;
  void* at_least(size_t bytes) {
    // An empty tensor has an address, too.
    if (bytes > size_ || !data_) {
      cudaFree(std::exchange(data_, nullptr));
      size_ = 0;
      require(cudaMalloc(&data_, std::max<size_t>(bytes, 256)), "cudaMalloc");
      size_ = std::max<size_t>(bytes, 256);
    }
    return data_;
  }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

// Where TensorRT puts an output, whose shape may be known only once it is there.
class OutputMemory final : public nvinfer1::IOutputAllocator {
 public:
  void* reallocateOutputAsync(char const*, void*, uint64_t size, uint64_t, cudaStream_t) override {
    try {
      return memory.at_least(size);
    } catch (...) {
      return nullptr;  // TensorRT reports that the run failed
    }
  }
  void notifyShape(char const*, nvinfer1::Dims const& dims) noexcept override {
    known_ = dims;  // in place: nothing may be thrown here
  }
  std::vector<int64_t> shape() const { return {known_.d, known_.d + known_.nbDims}; }
  DeviceMemory memory;

 private:
  nvinfer1::Dims known_{};
};

class Stream {
 public:
  Stream() { require(cudaStreamCreate(&stream_), "cudaStreamCreate"); }
  ~Stream() { cudaStreamDestroy(stream_); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  cudaStream_t get() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

struct Kept {
  std::shared_ptr<const Engine> engine;
  std::vector<std::vector<char>> outputs;
};

class TensorRtEngine final : public Engine {
 public:
  TensorRtEngine(const TensorRt& opened, const TrustedCode& code, const std::string& name, Signature of_model,
                 const Target& runs_on)
      : Engine(std::move(of_model), runs_on, "TensorRT " + opened.version), runtime_(opened.create_runtime(logger())) {
    const std::string data = code.read();
    if (runtime_) engine_.reset(runtime_->deserializeCudaEngine(data.data(), data.size()));
    if (engine_) context_.reset(engine_->createExecutionContext());
    if (!context_)
      throw build_error("TensorRT does not take the engine " + name,
                        {{}, logger().take(), "build it with this version, for this GPU: modelport compile"});
    for (const TensorSpec& spec : signature.outputs()) {
      OutputMemory& memory = results_[spec.name];
      require_done(context_->setOutputAllocator(spec.name.c_str(), &memory), "setOutputAllocator");
    }
  }

  // Runs follow each other: an engine has one context.
  Outputs run(const modelport_tensor* inputs, size_t count, const std::vector<size_t>& wanted) const override {
    const std::lock_guard<std::mutex> hold(lock_);
    choose_profile(inputs, count);
    for (size_t i = 0; i < count; ++i) put(inputs[i]);
    for (const TensorSpec& spec : signature.outputs()) {
      void* place = results_.at(spec.name).memory.at_least(1);
      require_done(context_->setTensorAddress(spec.name.c_str(), place), "setTensorAddress");
    }
    require_done(context_->enqueueV3(stream_.get()), "enqueueV3");
    auto kept = std::make_shared<Kept>();
    kept->engine = shared_from_this();
    Outputs outputs;
    for (const size_t place : wanted) {
      const TensorSpec& spec = signature.outputs()[place];
      const OutputMemory& result = results_.at(spec.name);
      Output output{&spec, spec.dtype->code, result.shape(), nullptr};
      kept->outputs.emplace_back(element_count(output.view()) * spec.dtype->bytes);
      std::vector<char>& copy = kept->outputs.back();
      output.data = copy.data();
      require(cudaMemcpyAsync(copy.data(), result.memory.data(), copy.size(), cudaMemcpyDeviceToHost, stream_.get()),
              "copying an output");
      outputs.items.push_back(std::move(output));
    }
    require(cudaStreamSynchronize(stream_.get()), "cudaStreamSynchronize");
    outputs.owner = std::move(kept);
    return outputs;
  }

 private:
  void require_done(bool done, const char* what) const {
    if (!done) throw run_error("TensorRT failed: " + std::string(what), {{}, logger().take(), {}});
  }

  // The first optimization profile whose ranges all inputs are in.
  void choose_profile(const modelport_tensor* inputs, size_t count) const {
    for (int32_t profile = 0; profile < engine_->getNbOptimizationProfiles(); ++profile) {
      bool fits = true;
      for (size_t i = 0; i < count && fits; ++i) fits = is_in(profile, inputs[i]);
      if (!fits) continue;
      if (profile != context_->getOptimizationProfile())
        require_done(context_->setOptimizationProfileAsync(profile, stream_.get()), "the profile");
      return;
    }
    std::vector<std::string> shapes;
    for (size_t i = 0; i < count; ++i)
      shapes.push_back(std::string(inputs[i].name) + " " + listed(inputs[i].shape, inputs[i].rank));
    throw run_error("no optimization profile of the engine takes " + joined(shapes),
                    {{}, {}, "build it with a profile for these sizes: modelport compile"});
  }

  bool is_in(int32_t profile, const modelport_tensor& tensor) const {
    using Selector = nvinfer1::OptProfileSelector;
    const auto least = engine_->getProfileShape(tensor.name, profile, Selector::kMIN);
    const auto most = engine_->getProfileShape(tensor.name, profile, Selector::kMAX);
    if (least.nbDims < 0) return true;  // it has the values of a shape, which have no range here
    for (size_t axis = 0; axis < tensor.rank; ++axis)
      if (tensor.shape[axis] < least.d[axis] || tensor.shape[axis] > most.d[axis]) return false;
    return true;
  }

  void put(const modelport_tensor& tensor) const {
    nvinfer1::Dims dims{};
    if (tensor.rank > nvinfer1::Dims::MAX_DIMS)
      throw run_error("input " + quoted(tensor.name) + " has more axes than TensorRT takes");
    dims.nbDims = static_cast<int32_t>(tensor.rank);
    std::copy_n(tensor.shape, tensor.rank, dims.d);
    require_done(context_->setInputShape(tensor.name, dims), "setInputShape");
    // The values of a shape are read on the host.
    if (engine_->getTensorLocation(tensor.name) == nvinfer1::TensorLocation::kHOST) {
      require_done(context_->setTensorAddress(tensor.name, const_cast<void*>(tensor.data)), "setTensorAddress");
      return;
    }
    const size_t bytes = element_count(tensor) * find_dtype(tensor.dtype)->bytes;
    void* place = given_[tensor.name].at_least(bytes);
    require(cudaMemcpyAsync(place, tensor.data, bytes, cudaMemcpyHostToDevice, stream_.get()), "copying an input");
    require_done(context_->setTensorAddress(tensor.name, place), "setTensorAddress");
  }

  mutable std::mutex lock_;
  mutable std::map<std::string, DeviceMemory> given_;
  mutable std::map<std::string, OutputMemory> results_;
  const Stream stream_;
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
};

}  // namespace

std::shared_ptr<Engine> load_tensorrt(const Bundle& bundle, const Artifact& artifact, Signature signature) {
  const TensorRt& opened = TensorRt::open();
  const json options = json::parse(artifact.options);
  if (options.contains("adapters") && !options["adapters"].empty())
    throw usage_error("the engine takes an input in another form than the model, which C++ does not offer",
                      {bundle.where, {}, "run it from Python"});
  if (!options.contains("engine") || !options["engine"].is_string())
    throw build_error(artifact.graph + " is no engine, which is what " + artifact.target.backend + " loads",
                      {bundle.where, {}, "build one: modelport compile, or deploy"});
  if (options.contains("plugins"))
    for (const json& library : options["plugins"])
      opened.plugin_registry()->loadLibrary(
          bundle.trusted_code(bundle.here(library.get<std::string>())).path().c_str());
  const std::string name = bundle.here(options["engine"].get<std::string>());
  const TrustedCode code = bundle.trusted_code(name);
  return std::make_shared<TensorRtEngine>(opened, code, name, std::move(signature), artifact.target);
}

}  // namespace modelport::runtime
