// Memory of the GPU for one call. Without CUDA kernels in the library there is none.
#pragma once

#include <cstddef>
#include <vector>

namespace modelport {

// Takes memory in the order of the stream; throws where there is none.
void* take_device_memory(std::vector<void*>& blocks, size_t bytes, void* stream);
void release_device_memory(std::vector<void*>& blocks, void* stream);

}  // namespace modelport
