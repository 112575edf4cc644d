// Bundles from C++17: a header over the C API, with exceptions, containers and futures.
//
//     modelport::Engine engine("srcnn.port");
//     modelport::Outputs outputs = engine.run({{"input", {1, 3, 64, 96}, pixels}});
//     const float* enlarged = outputs["output"].data<float>();
#ifndef MODELPORT_MODELPORT_HPP
#define MODELPORT_MODELPORT_HPP

#include <chrono>
#include <cstdint>
#include <future>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "modelport/modelport.h"

namespace modelport {

// What went wrong, where, why, and what to do about it; what() has all of it, a line each.
class Error : public std::runtime_error {
 public:
  explicit Error(const modelport_error* error)
      : std::runtime_error(modelport_error_text(error)), happened(modelport_error_what(error)),
        where(modelport_error_where(error)), why(modelport_error_why(error)), fix(modelport_error_fix(error)) {}
  Error(const std::string& what, const std::string& how_to_mend)
      : std::runtime_error(what + "\n  fix: " + how_to_mend), happened(what), fix(how_to_mend) {}

  std::string happened, where, why, fix;
};
// clang-format off
class UsageError : public Error { using Error::Error; };
class OperatorError : public Error { using Error::Error; };
class BuildError : public Error { using Error::Error; };
class RunError : public Error { using Error::Error; };
class BundleError : public Error { using Error::Error; };
// clang-format on

namespace detail {

struct Release {
  void operator()(modelport_error* error) const { modelport_error_release(error); }
  void operator()(modelport_engine* engine) const { modelport_engine_release(engine); }
  void operator()(modelport_outputs* outputs) const { modelport_outputs_release(outputs); }
  void operator()(modelport_batcher* batcher) const { modelport_batcher_release(batcher); }
};
template <class T>
using Handle = std::unique_ptr<T, Release>;

// Calls back with the exception that an error is.
template <class Use>
void with_exception(const modelport_error* error, Use&& use) {
  switch (modelport_error_get_kind(error)) {
    case MODELPORT_USAGE_ERROR: return use(UsageError(error));
    case MODELPORT_OPERATOR_ERROR: return use(OperatorError(error));
    case MODELPORT_BUILD_ERROR: return use(BuildError(error));
    case MODELPORT_BUNDLE_ERROR: return use(BundleError(error));
    case MODELPORT_RUN_ERROR: break;
  }
  use(RunError(error));
}

inline void require(modelport_error* error) {
  if (!error) return;
  const Handle<modelport_error> held(error);
  with_exception(error, [](const auto& exception) { throw exception; });
}

template <class T>
constexpr modelport_dtype dtype_of() {
  if constexpr (std::is_same_v<T, float>) return MODELPORT_FLOAT32;
  else if constexpr (std::is_same_v<T, double>) return MODELPORT_FLOAT64;
  else if constexpr (std::is_same_v<T, bool>) return MODELPORT_BOOL;
  else if constexpr (std::is_same_v<T, const char*>) return MODELPORT_STRING;
  else {
    static_assert(std::is_integral_v<T>, "give the dtype beside the pointer");
    constexpr bool is_signed = std::is_signed_v<T>;
    if constexpr (sizeof(T) == 1) return is_signed ? MODELPORT_INT8 : MODELPORT_UINT8;
    else if constexpr (sizeof(T) == 2) return is_signed ? MODELPORT_INT16 : MODELPORT_UINT16;
    else if constexpr (sizeof(T) == 4) return is_signed ? MODELPORT_INT32 : MODELPORT_UINT32;
    else return is_signed ? MODELPORT_INT64 : MODELPORT_UINT64;
  }
}

inline size_t count_of(const int64_t* shape, size_t rank) {
  size_t count = 1;
  for (size_t axis = 0; axis < rank; ++axis) count *= static_cast<size_t>(shape[axis]);
  return count;
}

}  // namespace detail

using Shape = std::vector<int64_t>;

// An input that lies in memory of the caller's, C-contiguous: it is read there, not copied.
class Input {
 public:
  template <class T>
  Input(std::string name, Shape shape, const T* data)
      : Input(std::move(name), std::move(shape), detail::dtype_of<T>(), data) {}
  template <class T>
  Input(std::string name, Shape shape, const std::vector<T>& values)
      : Input(std::move(name), std::move(shape), values.data()) {
    require_count(values.size());
  }
  // Of any type; float16 and bfloat16 are two bytes an element.
  Input(std::string name, Shape shape, modelport_dtype dtype, const void* data)
      : name_(std::move(name)), shape_(std::move(shape)), dtype_(dtype), data_(data) {}

  modelport_tensor view() const { return {name_.c_str(), dtype_, shape_.data(), shape_.size(), data_}; }

 private:
  void require_count(size_t count) const {
    const size_t wanted = detail::count_of(shape_.data(), shape_.size());
    if (count != wanted)
      throw RunError("the input '" + name_ + "' has " + std::to_string(count) + " values for a shape of " +
                         std::to_string(wanted),
                     "pass as many values as the shape has elements");
  }

  std::string name_;
  Shape shape_;
  modelport_dtype dtype_;
  const void* data_;
};

// An output; it lives as long as the Outputs that it is of.
class Output {
 public:
  explicit Output(const modelport_tensor& tensor) : tensor_(tensor) {}
  std::string name() const { return tensor_.name; }
  modelport_dtype dtype() const { return tensor_.dtype; }
  Shape shape() const { return {tensor_.shape, tensor_.shape + tensor_.rank}; }
  size_t count() const { return detail::count_of(tensor_.shape, tensor_.rank); }
  const void* data() const { return tensor_.data; }
  // The elements: of float, double, bool, an integer type, or const char*.
  template <class T>
  const T* data() const {
    if (detail::dtype_of<T>() != tensor_.dtype)
      throw RunError("the output '" + name() + "' has elements of another type: ONNX's " +
                         std::to_string(tensor_.dtype),
                     "read it as what Engine::outputs() declares");
    return static_cast<const T*>(tensor_.data);
  }

 private:
  modelport_tensor tensor_;
};

// What a run gave. It can be moved, and outlives the engine.
class Outputs {
 public:
  explicit Outputs(modelport_outputs* outputs) : outputs_(outputs) {}
  size_t size() const { return modelport_outputs_count(outputs_.get()); }
  Output at(size_t index) const {
    if (index < size()) return Output(modelport_outputs_get(outputs_.get(), index));
    throw RunError("there is no output " + std::to_string(index), "there are " + std::to_string(size()));
  }
  Output operator[](const std::string& name) const {
    for (size_t i = 0; i < size(); ++i)
      if (at(i).name() == name) return at(i);
    throw RunError("there is no output '" + name + "'", "ask for one that Engine::outputs() declares");
  }
  Output operator[](int) const = delete;  // 0 is a null text, too: ask for at(0)

 private:
  detail::Handle<modelport_outputs> outputs_;
};

// What an input or output is declared as.
struct Spec {
  struct Axis {
    int64_t size;  // -1 where it is dynamic
    std::string name;
    int64_t min;
    int64_t max;  // -1 where there is no bound
    int64_t multiple;
  };

  explicit Spec(const modelport_spec& spec) : name(spec.name), dtype(spec.dtype) {
    if (!spec.axes) return;
    axes.emplace();
    for (size_t i = 0; i < spec.rank; ++i)
      axes->push_back(
          {spec.axes[i].size, spec.axes[i].name, spec.axes[i].min, spec.axes[i].max, spec.axes[i].multiple});
  }

  std::string name;
  modelport_dtype dtype;
  std::optional<std::vector<Axis>> axes;  // nothing where the rank is not known
};

struct LoadOptions {
  std::string target;              // one of the bundle's; "": its first
  std::string onnxruntime;         // file of the library; "": $MODELPORT_ONNXRUNTIME, or the system's
  bool trust = false;              // load code that nobody vouched for
  std::string key;                 // file of a public key that must have signed the bundle
  std::optional<int> threads;      // within an operator; 0: one a core
  std::optional<bool> spinning;    // whether threads wait busily
  std::string graph_optimization;  // none, basic, extended or all
};

// A model that is ready to run. It may be used by many threads at once.
class Engine {
 public:
  // Opens a bundle, a directory or a zip file. Throws a UsageError, BundleError, OperatorError or
  // BuildError.
  explicit Engine(const std::string& path, const LoadOptions& options = {}) {
    const auto text = [](const std::string& value) { return value.empty() ? nullptr : value.c_str(); };
    const modelport_load_options given{text(options.target),
                                       text(options.onnxruntime),
                                       options.trust,
                                       text(options.key),
                                       options.threads.value_or(-1),
                                       options.spinning ? int{*options.spinning} : -1,
                                       text(options.graph_optimization)};
    modelport_engine* engine = nullptr;
    detail::require(modelport_load(path.c_str(), &given, &engine));
    engine_.reset(engine);
  }

  // Runs the model once; gives the outputs that are named, or all of them. Throws a RunError.
  Outputs run(const std::vector<Input>& inputs, const std::vector<std::string>& wanted = {}) const {
    const auto tensors = views(inputs);
    std::vector<const char*> names;
    for (const std::string& name : wanted) names.push_back(name.c_str());
    modelport_outputs* outputs = nullptr;
    detail::require(modelport_run(engine_.get(), tensors.data(), tensors.size(), names.empty() ? nullptr : names.data(),
                                  names.size(), &outputs));
    return Outputs(outputs);
  }

  std::string target() const { return modelport_engine_target(engine_.get()); }
  std::string runtime() const { return modelport_engine_runtime(engine_.get()); }
  std::vector<Spec> inputs() const {
    std::vector<Spec> specs;
    for (size_t i = 0; i < modelport_engine_input_count(engine_.get()); ++i)
      specs.emplace_back(modelport_engine_input(engine_.get(), i));
    return specs;
  }
  std::vector<Spec> outputs() const {
    std::vector<Spec> specs;
    for (size_t i = 0; i < modelport_engine_output_count(engine_.get()); ++i)
      specs.emplace_back(modelport_engine_output(engine_.get(), i));
    return specs;
  }

 private:
  friend class Batcher;
  static std::vector<modelport_tensor> views(const std::vector<Input>& inputs) {
    std::vector<modelport_tensor> tensors;
    tensors.reserve(inputs.size());
    for (const Input& input : inputs) tensors.push_back(input.view());
    return tensors;
  }

  detail::Handle<modelport_engine> engine_;
};

struct Batching {
  size_t max_batch = 8;
  std::chrono::microseconds max_delay{2000};  // that the first request of a batch waits for others
};

// Runs requests of many threads together, along the first axis.
class Batcher {
 public:
  // Throws a UsageError where the model has no such axis.
  explicit Batcher(const Engine& engine, const Batching& batching = {}) {
    modelport_batcher* batcher = nullptr;
    detail::require(
        modelport_batcher_create(engine.engine_.get(), batching.max_batch, batching.max_delay.count(), &batcher));
    batcher_.reset(batcher);
  }

  // Copies the inputs and returns. Whatever fails, the future tells.
  std::future<Outputs> submit(const std::vector<Input>& inputs) {
    const auto tensors = Engine::views(inputs);
    auto promise = std::make_unique<std::promise<Outputs>>();
    std::future<Outputs> future = promise->get_future();
    modelport_submit(batcher_.get(), tensors.data(), tensors.size(), deliver, promise.release());
    return future;
  }

 private:
  static void deliver(void* user, modelport_error* error, modelport_outputs* outputs) {
    const std::unique_ptr<std::promise<Outputs>> promise(static_cast<std::promise<Outputs>*>(user));
    if (!error) return promise->set_value(Outputs(outputs));
    const detail::Handle<modelport_error> held(error);
    detail::with_exception(error,
                           [&](const auto& exception) { promise->set_exception(std::make_exception_ptr(exception)); });
  }

  detail::Handle<modelport_batcher> batcher_;
};

}  // namespace modelport

#endif
