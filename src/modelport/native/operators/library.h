// What a library of operators holds. The generated `library.cpp` defines `library`.
#pragma once

#include <cstdint>

#include "modelport/table.h"

namespace modelport {

struct AttributeInfo {
  const char* name;
  Kind kind;
  bool required;
  Attribute value;  // where it is not given
};

// What a node's input is: an input of the kernel, or an attribute passed as a tensor.
struct NodeInput {
  bool is_attribute;
  int32_t index;
};

struct OperatorInfo {
  const char* name;
  Span<const char*> inputs;  // the kernel's
  Span<const char*> outputs;
  Span<AttributeInfo> attributes;
  Span<NodeInput> node_inputs;
};

struct CompiledTable {
  size_t op;
  const char* device;  // "cpu" or "cuda"
  int32_t level;       // of x86-64 (3, 4); 0 for code that runs on any processor of the platform
  const KernelTable* table;
};

struct LibraryInfo {
  const char* domain;
  int32_t level;  // that the processor must have
  Span<OperatorInfo> operators;
  Span<CompiledTable> tables;
};

extern const LibraryInfo library;

// One kernel to use here: of all levels that were compiled the highest that this processor has.
struct Choice {
  size_t op;
  const char* device;
  const Kernel* kernel;
  int32_t level;
};

// The kernels to use here; worked out once.
const Span<Choice>& choices();

// NumPy's name of an element type.
const char* name_of(DataType type);

// Null where the processor can run the library, else why not.
const char* refusal();

// Memory of the CPU for one call.
class Scratch {
 public:
  Scratch() = default;
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch();
  void* take(size_t bytes);

 private:
  struct Block {
    Block* before;
  };
  Block* last_ = nullptr;
};

}  // namespace modelport
