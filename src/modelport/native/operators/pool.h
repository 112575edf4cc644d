// Threads for kernels that run outside of a runtime with threads of its own.
#pragma once

#include <cstddef>

namespace modelport {

// Runs piece(data, i) for every i below `pieces` on up to `threads` threads, this one included.
void run_on_pool(int threads, size_t pieces, void (*piece)(void*, size_t), void* data);

}  // namespace modelport
