// Memory that ends when it is told to: `malloc` of the whole process, for one thread.
#pragma once

#include <dlfcn.h>

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

extern "C" void* __libc_malloc(size_t bytes);
extern "C" void* __libc_memalign(size_t alignment, size_t bytes);

namespace memory {

thread_local long left = -1;  // calls that succeed before one fails; below 0 for all
thread_local bool for_good = false;
thread_local bool failed = false;

inline bool ends() {
  if (left < 0) return false;
  if (left > 0) return --left, false;
  failed = true;
  if (!for_good) left = -1;
  errno = ENOMEM;
  return true;
}

// Runs a body again and again: its first allocation fails, its second, and so on, until it asks for
// no more. It says whether it succeeded, and must where no allocation failed. Prints how often it did
// not.
template <class Body>
void exhaust(const char* what, bool and_all_after, Body&& body) {
  long errors = 0;
  for (long count = 0;; ++count) {
    left = count, for_good = and_all_after, failed = false;
    const bool succeeded = body();
    left = -1;
    errors += !succeeded;
    if (failed) continue;
    if (!succeeded) std::exit((std::fprintf(stderr, "%s fails with memory\n", what), 1));
    std::printf("%s: %ld\n", what, errors);
    return;
  }
}

}  // namespace memory

extern "C" void* malloc(size_t bytes) { return memory::ends() ? nullptr : __libc_malloc(bytes); }
extern "C" void* aligned_alloc(size_t alignment, size_t bytes) {
  return memory::ends() ? nullptr : __libc_memalign(alignment, bytes);
}
