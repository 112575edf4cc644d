#include "library.h"

#include <cstdlib>
#include <new>
#include <vector>

namespace modelport {
namespace {

// The x86-64 level of this processor; elsewhere every kernel has level 0.
int32_t processor_level() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool third = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                     __builtin_cpu_supports("bmi2");
  const bool fourth = third && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512vl");
  int32_t level = fourth ? 4 : third ? 3 : 1;
  // For tests and comparisons: pretend to be an older processor.
  if (const char* most = std::getenv("MODELPORT_CPU_LEVEL")) {
    const int32_t wanted = std::atoi(most);
    if (wanted > 0 && wanted < level) level = wanted;
  }
  return level;
#else
  return 0;
#endif
}

bool same_tensors(const Kernel& a, const Kernel& b) {
  if (a.count != b.count) return false;
  for (size_t i = 0; i < a.count; ++i)
    if (a.parameters[i].dtype != b.parameters[i].dtype) return false;
  return true;
}

std::vector<Choice> choose() {
  const int32_t level = processor_level();
  std::vector<Choice> chosen;
  for (const CompiledTable& compiled : library.tables) {
    if (compiled.level > level) continue;
    for (size_t i = 0; i < compiled.table->count; ++i) {
      const Choice found{compiled.op, compiled.device, &compiled.table->kernels[i], compiled.level};
      Choice* known = nullptr;
      for (Choice& other : chosen)
        if (other.op == found.op && std::string_view(other.device) == found.device &&
            same_tensors(*other.kernel, *found.kernel))
          known = &other;
      if (!known) chosen.push_back(found);
      else if (known->level < found.level) *known = found;
    }
  }
  return chosen;
}

}  // namespace

const Span<Choice>& choices() {
  static const std::vector<Choice>& all = *new std::vector<Choice>(choose());
  static const Span<Choice> span{all.data(), all.size()};
  return span;
}

const char* name_of(DataType type) {
  switch (type) {
    case DataType::float32: return "float32";
    case DataType::float64: return "float64";
    case DataType::float16: return "float16";
    case DataType::bfloat16: return "bfloat16";
    case DataType::int32: return "int32";
    case DataType::int64: return "int64";
    case DataType::int8: return "int8";
    case DataType::uint8: return "uint8";
    case DataType::boolean: return "bool";
    case DataType::none: break;
  }
  return "";
}

const char* refusal() {
  if (processor_level() >= library.level) return nullptr;
  return "the library of operators was built for a processor with AVX2 and FMA (x86-64-v3), "
         "which this one lacks: build it again with --baseline x86-64";
}

void* Scratch::take(size_t bytes) {
  // The C library keeps freed blocks of up to 32 MB mapped, so this is cheap call after call.
  constexpr size_t alignment = 64;
  const size_t whole = (bytes + 2 * alignment - 1) / alignment * alignment;
  void* memory = std::aligned_alloc(alignment, whole);
  if (!memory) throw std::bad_alloc();
  Block* block = new (memory) Block{__atomic_load_n(&last_, __ATOMIC_RELAXED)};
  // Pieces of a `parallel_for` may take memory at the same time.
  while (!__atomic_compare_exchange_n(&last_, &block->before, block, true, __ATOMIC_RELEASE, __ATOMIC_RELAXED)) {
  }
  return static_cast<char*>(memory) + alignment;
}

Scratch::~Scratch() {
  while (last_) {
    Block* block = last_;
    last_ = block->before;
    std::free(block);
  }
}

}  // namespace modelport
