#include "gpu.h"

#include <cuda_runtime_api.h>

#include <fstream>
#include <iterator>
#include <stdexcept>

namespace {

void require(cudaError_t error, const char* what) {
  if (error != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(error));
}

// Memory of the GPU, with a mark in all of its bytes.
class Buffer {
 public:
  explicit Buffer(size_t bytes) {
    require(cudaMalloc(&data_, bytes ? bytes : 1), "cudaMalloc");
    require(cudaMemset(data_, 0xff, bytes ? bytes : 1), "cudaMemset");
  }
  Buffer(Buffer&& other) noexcept : data_(other.data_) { other.data_ = nullptr; }
  ~Buffer() { cudaFree(data_); }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const std::string& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!file) throw std::runtime_error("cannot write " + path);
}

nvinfer1::PluginTensorDesc described(const Tensor& tensor) {
  return {tensor.dims, tensor.type, nvinfer1::TensorFormat::kLINEAR, 1.0f};
}

std::string from_gpu(const Buffer& buffer, size_t bytes) {
  std::string values(bytes, '\0');
  if (bytes) require(cudaMemcpy(values.data(), buffer.data(), bytes, cudaMemcpyDeviceToHost), "cudaMemcpy");
  return values;
}

}  // namespace

bool has_gpu(std::string& why) {
  int count = 0;
  const cudaError_t error = cudaGetDeviceCount(&count);
  if (error == cudaSuccess && count > 0) return true;
  why = error == cudaSuccess ? "there is no GPU" : cudaGetErrorString(error);
  return false;
}

void run_on_gpu(nvinfer1::IPluginV3OneRuntime& plugin, const Case& given, const std::vector<Tensor>& outputs,
                const std::vector<std::pair<size_t, int32_t>>& sizes, size_t workspace) {
  std::vector<Buffer> buffers;
  std::vector<nvinfer1::PluginTensorDesc> input_descs, output_descs;
  std::vector<const void*> inputs;
  std::vector<void*> made;
  for (size_t i = 0; i < given.inputs.size(); ++i) {
    const std::string values = read(given.folder + "/input_" + std::to_string(i));
    buffers.emplace_back(values.size());
    if (!values.empty())
      require(cudaMemcpy(buffers.back().data(), values.data(), values.size(), cudaMemcpyHostToDevice), "cudaMemcpy");
    inputs.push_back(buffers.back().data());
    input_descs.push_back(described(given.inputs[i]));
  }
  const size_t first = buffers.size();
  for (const Tensor& output : outputs) {
    buffers.emplace_back(static_cast<size_t>(count_of(output.dims)) * size_of(output.type));
    made.push_back(buffers.back().data());
    output_descs.push_back(described(output));
  }
  const Buffer scratch(workspace);
  cudaStream_t stream = nullptr;
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
  // Twice: the second time nothing is new.
  for (int round = 0; round < 2; ++round)
    if (plugin.enqueue(input_descs.data(), output_descs.data(), inputs.data(), made.data(), scratch.data(), stream))
      throw std::runtime_error("enqueue fails");
  require(cudaStreamSynchronize(stream), "cudaStreamSynchronize");
  require(cudaStreamDestroy(stream), "cudaStreamDestroy");
  std::vector<Tensor> real(outputs.begin(), outputs.end() - static_cast<std::ptrdiff_t>(sizes.size()));
  for (size_t i = 0; i < sizes.size(); ++i) {
    int32_t size = 0;
    const std::string bytes = from_gpu(buffers[first + real.size() + i], sizeof size);
    bytes.copy(reinterpret_cast<char*>(&size), sizeof size);
    real[sizes[i].first].dims.d[sizes[i].second] = size;
  }
  for (size_t i = 0; i < real.size(); ++i) {
    const size_t bytes = static_cast<size_t>(count_of(real[i].dims)) * size_of(real[i].type);
    write(given.folder + "/output_" + std::to_string(i), from_gpu(buffers[first + i], bytes));
    std::string shape;
    for (int32_t axis = 0; axis < real[i].dims.nbDims; ++axis) shape += std::to_string(real[i].dims.d[axis]) + " ";
    write(given.folder + "/shape_" + std::to_string(i), shape);
  }
}
