#include "cuda_memory.h"

#include "modelport/kernel.h"

#if defined(__CUDACC__)
#include <cuda_runtime_api.h>
#endif

namespace modelport {

#if defined(__CUDACC__)
void* take_device_memory(std::vector<void*>& blocks, size_t bytes, void* stream) {
  void* memory = nullptr;
  const cudaError_t error = cudaMallocAsync(&memory, bytes ? bytes : 1, static_cast<cudaStream_t>(stream));
  check(error == cudaSuccess, "no ", bytes, " bytes of GPU memory: ", cudaGetErrorString(error));
  blocks.push_back(memory);
  return memory;
}

void release_device_memory(std::vector<void*>& blocks, void* stream) {
  for (void* memory : blocks) cudaFreeAsync(memory, static_cast<cudaStream_t>(stream));
  blocks.clear();
}
#else
void* take_device_memory(std::vector<void*>&, size_t, void*) { throw Error("the library was built without CUDA"); }

void release_device_memory(std::vector<void*>&, void*) {}
#endif

}  // namespace modelport
