// The operators as plain C functions, for a host that has the tensors and their shapes: PyTorch,
// through Python. One thread at a time uses a `Bound` only to read it.

#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "attributes.h"
#include "cuda_memory.h"
#include "library.h"
#include "pool.h"

namespace modelport {
namespace {

thread_local std::string kept_error;
thread_local const char* last_error = "";

// Keeps the words of an error for `modelport_error`.
void keep_error(const char* message) noexcept {
  try {
    kept_error = message;
    last_error = kept_error.c_str();
  } catch (...) {
    last_error = what_was_thrown();  // the words of "out of memory" need none
  }
}

// Runs the body of a C function: nothing that is thrown may leave it. What was thrown is kept for
// `modelport_error`, and the function returns what says that it failed.
template <class Result, class Body>
Result guarded(Result failed, Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    keep_error(what_was_thrown());
    return failed;
  }
}

// A kernel with its attribute values.
struct Bound {
  explicit Bound(const Choice& choice)
      : op(library.operators[choice.op]), kernel(*choice.kernel), cuda(std::string_view(choice.device) == "cuda"),
        attributes(op) {}
  const OperatorInfo& op;
  const Kernel& kernel;
  bool cuda;
  Attributes attributes;
  char failure[160] = "";  // why an attribute could not be set
};

// Sets an attribute. Where that fails, no call of the kernel succeeds.
template <class Body>
void set_attribute(void* raw, Body&& body) noexcept {
  auto& bound = *static_cast<Bound*>(raw);
  try {
    body(bound.attributes);
  } catch (...) {
    std::snprintf(bound.failure, sizeof bound.failure, "an attribute could not be set: %s", what_was_thrown());
  }
}

const Choice& choice_at(int64_t kernel) {
  const Span<Choice>& all = choices();
  check(kernel >= 0 && static_cast<size_t>(kernel) < all.size(), "there is no kernel ", kernel);
  return all[static_cast<size_t>(kernel)];
}

// Shapes of one call: [inputs, then for each (rank, dims...)], [outputs, then the same]; a rank
// of -1 is an absent input, or an output whose shape only the kernel knows.
using Plan = const int64_t*;
// Gives the buffer of an output that the plan does not know; null where that failed.
using Allocate = void* (*)(int64_t output, int64_t rank, const int64_t* dims);

class HostContext final : public Context {
 public:
  HostContext(const Bound& bound, int threads, void* stream, Plan plan, void* const* buffers, Allocate allocate)
      : bound_(bound), threads_(threads), stream_(stream), buffers_(buffers), allocate_(allocate) {
    inputs_ = static_cast<size_t>(*plan++);
    for (size_t i = 0; i < inputs_; ++i) plan = keep(plan);
    const auto outputs = static_cast<size_t>(*plan++);
    for (size_t i = 0; i < outputs; ++i) plan = keep(plan);
  }
  ~HostContext() override { release_device_memory(device_blocks_, stream_); }

  size_t input_count() const override { return inputs_; }

  void input(size_t index, View& view) override {
    if (index >= inputs_ || *shapes_[index] < 0) return;
    view.shape.assign(shapes_[index] + 1, static_cast<size_t>(*shapes_[index]));
    view.data = buffers_[index];
    view.present = true;
  }

  void* output(size_t index, const Shape& shape) override {
    const Plan planned = shapes_[inputs_ + index];
    if (*planned < 0) {
      void* buffer = allocate_(static_cast<int64_t>(index), static_cast<int64_t>(shape.rank()), shape.data());
      check(buffer || shape.count() == 0, "no memory for output ", index, " of shape ", shape);
      return buffer;
    }
    Shape expected;
    expected.assign(planned + 1, static_cast<size_t>(*planned));
    check(expected == shape, "output ", index, ": the shape rule says ", expected, ", the kernel gives ", shape);
    return buffers_[inputs_ + index];
  }

  int threads() const override { return threads_; }
  void* raw_stream() const override { return stream_; }

  void run_parallel(size_t pieces, void (*piece)(void*, size_t), void* data) override {
    run_on_pool(threads_, pieces, piece, data);
  }

  void* take_scratch(size_t bytes) override {
    return bound_.cuda ? take_device_memory(device_blocks_, bytes, stream_) : scratch_.take(bytes);
  }

  void fail(const char* message) override { keep_error(message); }

 private:
  Plan keep(Plan plan) {
    check(shape_count_ < most, "a call has at most ", most, " tensors");
    shapes_[shape_count_++] = plan;
    return plan + 1 + (*plan > 0 ? *plan : 0);
  }

  static constexpr size_t most = 64;
  const Bound& bound_;
  int threads_;
  void* stream_;
  void* const* buffers_;
  Allocate allocate_;
  size_t inputs_ = 0, shape_count_ = 0;
  Plan shapes_[most];
  Scratch scratch_;
  std::vector<void*> device_blocks_;
};

std::string describe(const Parameter& parameter) {
  static const char* const kinds[] = {"none", "int", "float", "bool", "str", "list[int]", "list[float]", "list[str]"};
  static const char* const roles[] = {"In", "Opt", "List", "Out"};
  if (parameter.role == Role::attribute) return kinds[static_cast<size_t>(parameter.kind)];
  std::string text = parameter.host ? "Host" : "";
  text += roles[static_cast<size_t>(parameter.role)];
  text += std::string("<") + name_of(parameter.dtype);
  if (parameter.rank >= 0) text += "," + std::to_string(parameter.rank);
  return text + ">";
}

std::string describe_kernel(const char* op, const char* device, int32_t level, const Kernel& kernel) {
  std::string text = std::string(op) + "|" + device + "|" + std::to_string(level);
  for (size_t i = 0; i < kernel.count; ++i) text += "|" + describe(kernel.parameters[i]);
  return text + "\n";
}

}  // namespace
}  // namespace modelport

#define MODELPORT_EXPORT extern "C" __attribute__((visibility("default")))

// Changes with any change of the functions below.
MODELPORT_EXPORT int64_t modelport_abi() { return 1; }

MODELPORT_EXPORT const char* modelport_refusal() { return modelport::refusal(); }

// One line for every kernel that is used here: operator|device|level|parameter|parameter...
// Null where that failed, with `modelport_error` set.
MODELPORT_EXPORT const char* modelport_kernels() {
  using namespace modelport;
  return guarded<const char*>(nullptr, [] {
    static const std::string& all = *new std::string([] {
      std::string text;
      for (const Choice& choice : choices())
        text += describe_kernel(library.operators[choice.op].name, choice.device, choice.level, *choice.kernel);
      return text;
    }());
    return all.c_str();
  });
}

// What failed last in this thread.
MODELPORT_EXPORT const char* modelport_error() { return modelport::last_error; }

// Null where that failed, with `modelport_error` set.
MODELPORT_EXPORT void* modelport_bind(int64_t kernel) {
  using namespace modelport;
  return guarded<void*>(nullptr, [&] { return new Bound(choice_at(kernel)); });
}
MODELPORT_EXPORT void modelport_unbind(void* bound) { delete static_cast<modelport::Bound*>(bound); }

MODELPORT_EXPORT void modelport_set_int(void* bound, int64_t index, int64_t value) {
  modelport::set_attribute(bound, [&](auto& attributes) { attributes.set(static_cast<size_t>(index), value); });
}
MODELPORT_EXPORT void modelport_set_float(void* bound, int64_t index, double value) {
  modelport::set_attribute(bound, [&](auto& attributes) { attributes.set(static_cast<size_t>(index), value); });
}
MODELPORT_EXPORT void modelport_set_str(void* bound, int64_t index, const char* value, int64_t size) {
  modelport::set_attribute(bound, [&](auto& attributes) {
    attributes.set(static_cast<size_t>(index), std::string(value, static_cast<size_t>(size)));
  });
}
MODELPORT_EXPORT void modelport_set_ints(void* bound, int64_t index, const int64_t* values, int64_t size) {
  modelport::set_attribute(bound, [&](auto& attributes) {
    attributes.set(static_cast<size_t>(index), std::vector<int64_t>(values, values + size));
  });
}
MODELPORT_EXPORT void modelport_set_floats(void* bound, int64_t index, const double* values, int64_t size) {
  modelport::set_attribute(bound, [&](auto& attributes) {
    attributes.set(static_cast<size_t>(index), std::vector<double>(values, values + size));
  });
}
MODELPORT_EXPORT void modelport_set_strs(void* bound, int64_t index, const char* value, int64_t size) {
  modelport::set_attribute(bound, [&](auto& attributes) {
    attributes.set_strings(static_cast<size_t>(index), std::string(value, static_cast<size_t>(size)));
  });
}

// Returns 0, or 1 with `modelport_error` set.
MODELPORT_EXPORT int64_t modelport_call(const void* bound, int64_t threads, void* stream, const int64_t* plan,
                                        void* const* buffers, modelport::Allocate allocate) {
  using namespace modelport;
  const auto& kernel = *static_cast<const Bound*>(bound);
  return guarded(int64_t{1}, [&]() -> int64_t {
    if (*kernel.failure) throw Error(kernel.failure);
    HostContext context(kernel, static_cast<int>(threads), stream, plan, buffers, allocate);
    return kernel.kernel.call(context, kernel.attributes.data()) ? 0 : 1;
  });
}
