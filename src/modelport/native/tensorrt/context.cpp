#include "context.h"

#include <cuda_runtime_api.h>

#include "cuda_memory.h"
#include "types.h"

namespace modelport::trt {
namespace {

constexpr size_t alignment = 256;  // CUDA's own
// What stands for memory while it is only measured: nothing is read or written there.
void* const nowhere = reinterpret_cast<void*>(alignment);

size_t whole(size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

void require(cudaError_t error, const char* what) {
  check(error == cudaSuccess, what, " failed: ", cudaGetErrorString(error));
}

size_t bytes_of(const PluginInput& input) {
  return static_cast<size_t>(input.shape.count() * trt::bytes_of(input.type));
}

}  // namespace

void MeasuringContext::input(size_t index, View& view) {
  if (index >= inputs_.size() || !inputs_[index].present) return;
  view.shape = inputs_[index].shape;
  view.present = true;
  if (!inputs_[index].host) return;
  // The kernel may read it. What it makes of zeros may be an error; it is then at its end.
  zeros_.emplace_back(bytes_of(inputs_[index]) + 1);
  view.data = zeros_.back().data();
}

void* MeasuringContext::output(size_t, const Shape&) { return nowhere; }

void* MeasuringContext::raw_stream() const { throw Error("nothing runs while memory is measured"); }

void* MeasuringContext::take_scratch(size_t bytes) {
  taken_ += whole(bytes);
  return nowhere;
}

EnqueueContext::~EnqueueContext() { release_device_memory(blocks_, stream_); }

void EnqueueContext::input(size_t index, View& view) {
  if (index >= inputs_.size() || !inputs_[index].present) return;
  const PluginInput& input = inputs_[index];
  view.shape = input.shape;
  view.data = input.data;
  view.present = true;
  if (!input.host) return;
  const size_t bytes = bytes_of(input);
  const auto stream = static_cast<cudaStream_t>(stream_);
  copies_.emplace_back(bytes + 1);
  view.data = copies_.back().data();
  if (!bytes) return;
  require(cudaMemcpyAsync(copies_.back().data(), input.data, bytes, cudaMemcpyDeviceToHost, stream), "a copy");
  require(cudaStreamSynchronize(stream), "waiting for an input");
}

void* EnqueueContext::output(size_t index, const Shape& shape) {
  const PluginOutput& output = outputs_.at(index);
  check(shape.rank() == output.most.rank(), "output ", index, ": the shape rule says ", output.most,
        ", the kernel gives ", shape);
  for (size_t axis = 0; axis < shape.rank(); ++axis) {
    const int64_t most = output.most[axis];
    check(output.is_bound[axis] ? shape[axis] <= most : shape[axis] == most, "output ", index, ": the shape rule says ",
          output.is_bound[axis] ? "at most " : "", output.most, ", the kernel gives ", shape);
    if (!output.is_bound[axis]) continue;
    const auto size = static_cast<int32_t>(shape[axis]);
    require(cudaMemcpyAsync(output.sizes[axis], &size, sizeof size, cudaMemcpyHostToDevice,
                            static_cast<cudaStream_t>(stream_)),
            "writing a size");
  }
  return output.data;
}

void* EnqueueContext::take_scratch(size_t bytes) {
  if (whole(bytes) > left_) return take_device_memory(blocks_, bytes, stream_);
  void* taken = workspace_;
  workspace_ += whole(bytes);
  left_ -= whole(bytes);
  return taken;
}

}  // namespace modelport::trt
