// The operators as ONNX Runtime's custom operators.

#include "onnxruntime_abi.h"

#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "attributes.h"
#include "cuda_memory.h"
#include "library.h"

namespace modelport::ort {
namespace {

// A node's input that carries an attribute comes in the type that the exporter gave it.
constexpr int32_t any_type = 0;
constexpr int32_t cpu_input = -2;

void require(const Api& api, Status* status, const char* what) {
  if (!api.holds(status)) throw Error(std::string("ONNX Runtime: ") + what + " failed");
}

struct RegisteredOp : CustomOp {
  const OperatorInfo* op;
  const Kernel* kernel;
  bool cuda;
  std::vector<const Parameter*> inputs, outputs;
};

struct Instance {
  Instance(const void* table, const RegisteredOp& registered)
      : api(table), op(*registered.op), kernel(*registered.kernel), cuda(registered.cuda), attributes(op) {
    attributes_from_inputs = false;
    node_place.assign(op.inputs.size(), 0);
    for (size_t node = 0; node < op.node_inputs.size(); ++node) {
      const NodeInput& input = op.node_inputs[node];
      if (input.is_attribute) attributes_from_inputs = true;
      else node_place[static_cast<size_t>(input.index)] = node;
    }
  }

  Api api;
  const OperatorInfo& op;
  const Kernel& kernel;
  bool cuda;
  Attributes attributes;
  bool attributes_from_inputs;
  std::vector<size_t> node_place;  // of a kernel's input
  std::string node_name;
};

Status* error(const Api& api, Code code, const Instance& instance, const std::string& why) {
  const std::string text =
      std::string(library.domain) + "::" + instance.op.name + " (node '" + instance.node_name + "'): " + why;
  return api.call<Status*>(CreateStatus, static_cast<int32_t>(code), text.c_str());
}

// Runs the body of a function that ONNX Runtime calls: nothing that is thrown may leave it, and what
// was thrown becomes a Status.
template <class Body>
Status* guarded(const Api& api, Body&& body) noexcept {
  try {
    return body();
  } catch (...) {
    return api.call<Status*>(CreateStatus, static_cast<int32_t>(fail), what_was_thrown());
  }
}

class OrtContext final : public Context {
 public:
  OrtContext(const Instance& instance, KernelContext* context)
      : instance_(instance), api_(instance.api), context_(context) {}
  ~OrtContext() override { release_device_memory(device_blocks_, stream_); }

  // Of the kernel: without the inputs of the node that carry attributes.
  size_t input_count() const override {
    return node_input_count() - (instance_.op.node_inputs.size() - instance_.op.inputs.size());
  }

  void input(size_t index, View& view) override {
    const auto& places = instance_.node_place;
    // A list is the last input: it goes on where the declared inputs end.
    node_input(index < places.size() ? places[index] : places.back() + index - places.size() + 1, view);
  }

  size_t node_input_count() const {
    if (node_inputs_ == unknown)
      require(api_, api_.call<Status*>(KernelContext_GetInputCount, context_, &node_inputs_), "GetInputCount");
    return node_inputs_;
  }

  // Also gives the element type, where it is asked for: kernels are chosen by it, and know it.
  void node_input(size_t node, View& view, int32_t* type = nullptr) {
    const Value* value = nullptr;
    if (node >= node_input_count()) return;
    require(api_, api_.call<Status*>(KernelContext_GetInput, context_, node, &value), "GetInput");
    if (!value) return;
    TensorInfo* info = nullptr;
    require(api_, api_.call<Status*>(GetTensorTypeAndShape, value, &info), "GetTensorTypeAndShape");
    size_t rank = 0;
    bool good = api_.holds(api_.call<Status*>(GetDimensionsCount, info, &rank));
    const bool fits = rank <= max_rank;
    if (good && fits) {
      view.shape.resize(rank);
      good = api_.holds(api_.call<Status*>(GetDimensions, info, view.shape.data(), rank)) &&
             (!type || api_.holds(api_.call<Status*>(GetTensorElementType, info, type)));
    }
    api_.call<void>(ReleaseTensorTypeAndShapeInfo, info);
    check(fits, "input ", node, " has rank ", rank, "; kernels take at most ", max_rank);
    check(good, "ONNX Runtime: the shape of input ", node, " is unknown");
    require(api_, api_.call<Status*>(GetTensorMutableData, value, const_cast<void**>(&view.data)),
            "GetTensorMutableData");
    view.present = true;
  }

  void* output(size_t index, const Shape& shape) override {
    for (size_t axis = 0; axis < shape.rank(); ++axis)
      check(shape[axis] >= 0, "output ", index, " would have the shape ", shape);
    Value* value = nullptr;
    require(api_, api_.call<Status*>(KernelContext_GetOutput, context_, index, shape.data(), shape.rank(), &value),
            "GetOutput");
    void* data = nullptr;
    // An output that nobody uses has no value.
    if (!value) return take_scratch(static_cast<size_t>(shape.count()) * 16);
    require(api_, api_.call<Status*>(GetTensorMutableData, value, &data), "GetTensorMutableData");
    return data;
  }

  int threads() const override { return 0; }

  void* raw_stream() const override {
    void* stream = nullptr;
    require(api_, api_.call<Status*>(KernelContext_GetGPUComputeStream, context_, &stream), "GetGPUComputeStream");
    return stream;
  }

  void run_parallel(size_t pieces, void (*piece)(void*, size_t), void* data) override {
    require(api_, api_.call<Status*>(KernelContext_ParallelFor, context_, piece, pieces, pieces, data), "ParallelFor");
  }

  void* take_scratch(size_t bytes) override {
    if (!instance_.cuda) return scratch_.take(bytes);
    stream_ = raw_stream();
    return take_device_memory(device_blocks_, bytes, stream_);
  }

  void fail(const char* message) override { message_ = message; }
  const std::string& message() const { return message_; }

 private:
  const Instance& instance_;
  const Api& api_;
  KernelContext* context_;
  static constexpr size_t unknown = SIZE_MAX;
  mutable size_t node_inputs_ = unknown;
  Scratch scratch_;
  std::vector<void*> device_blocks_;
  void* stream_ = nullptr;  // that they were taken on
  std::string message_;
};

std::string read_text(const Api& api, Slot slot, const KernelInfo* info, const char* name, bool& found) {
  size_t size = 0;
  found = api.holds(api.call<Status*>(slot, info, name, static_cast<char*>(nullptr), &size));
  if (!found || size == 0) return {};
  std::string text(size, '\0');
  found = api.holds(api.call<Status*>(slot, info, name, text.data(), &size));
  text.resize(size ? size - 1 : 0);
  return text;
}

template <class T>
std::vector<T> read_array(const Api& api, Slot slot, const KernelInfo* info, const char* name, bool& found) {
  size_t size = 0;
  std::vector<T> values;
  found = api.holds(api.call<Status*>(slot, info, name, static_cast<T*>(nullptr), &size));
  if (!found || size == 0) return values;
  values.resize(size);
  found = api.holds(api.call<Status*>(slot, info, name, values.data(), &size));
  return values;
}

// Whether the node has the attribute in any type, and not as an empty list.
bool is_not_empty(const Api& api, const KernelInfo* info, const char* name) {
  float real = 0;
  int64_t integer = 0;
  bool found = false;
  if (api.holds(api.call<Status*>(KernelInfoGetAttribute_float, info, name, &real))) return true;
  if (api.holds(api.call<Status*>(KernelInfoGetAttribute_int64, info, name, &integer))) return true;
  read_text(api, KernelInfoGetAttribute_string, info, name, found);
  return found || !read_array<float>(api, KernelInfoGetAttributeArray_float, info, name, found).empty() ||
         !read_array<int64_t>(api, KernelInfoGetAttributeArray_int64, info, name, found).empty();
}

// Whether the node has the attribute in another type than the one looked for. ONNX Runtime answers
// as if it had none, or an empty list, and the default would be used unnoticed.
bool has_other_type(const Api& api, const KernelInfo* info, const char* name) {
  bool found = false;
  if (is_not_empty(api, info, name)) return true;
  read_array<int64_t>(api, KernelInfoGetAttributeArray_int64, info, name, found);
  return found;
}

bool read_attribute(const Api& api, const KernelInfo* info, const AttributeInfo& declared, size_t index,
                    Attributes& attributes) {
  bool found = false;
  switch (declared.kind) {
    case Kind::integer:
    case Kind::boolean: {
      int64_t value = 0;
      found = api.holds(api.call<Status*>(KernelInfoGetAttribute_int64, info, declared.name, &value));
      if (found) attributes.set(index, value);
      return found;
    }
    case Kind::real: {
      float value = 0;
      int64_t whole = 0;
      found = api.holds(api.call<Status*>(KernelInfoGetAttribute_float, info, declared.name, &value));
      if (found) {
        attributes.set(index, static_cast<double>(value));
      } else if (api.holds(api.call<Status*>(KernelInfoGetAttribute_int64, info, declared.name, &whole))) {
        attributes.set(index, static_cast<double>(whole));
        found = true;
      }
      return found;
    }
    case Kind::string: {
      std::string value = read_text(api, KernelInfoGetAttribute_string, info, declared.name, found);
      if (found) attributes.set(index, std::move(value));
      return found;
    }
    case Kind::strings: {
      const std::string value = read_text(api, KernelInfoGetAttribute_string, info, declared.name, found);
      if (found) attributes.set_strings(index, value);
      return found;
    }
    case Kind::integers: {
      auto values = read_array<int64_t>(api, KernelInfoGetAttributeArray_int64, info, declared.name, found);
      if (!found || (values.empty() && is_not_empty(api, info, declared.name))) return false;
      attributes.set(index, std::move(values));
      return true;
    }
    case Kind::reals: {
      const auto values = read_array<float>(api, KernelInfoGetAttributeArray_float, info, declared.name, found);
      if (!values.empty()) {
        attributes.set(index, std::vector<double>(values.begin(), values.end()));
        return true;
      }
      const auto whole = read_array<int64_t>(api, KernelInfoGetAttributeArray_int64, info, declared.name, found);
      if (!found || (whole.empty() && is_not_empty(api, info, declared.name))) return false;
      attributes.set(index, std::vector<double>(whole.begin(), whole.end()));
      return true;
    }
    case Kind::none: break;
  }
  return false;
}

bool comes_as_input(const OperatorInfo& op, size_t attribute) {
  for (const NodeInput& input : op.node_inputs)
    if (input.is_attribute && static_cast<size_t>(input.index) == attribute) return true;
  return false;
}

Status* make_kernel(const RegisteredOp& registered, const void* table, const KernelInfo* info, void** out) {
  auto instance = std::make_unique<Instance>(table, registered);
  const Api& api = instance->api;
  size_t size = 0;
  if (api.holds(api.call<Status*>(KernelInfo_GetNodeName, info, static_cast<char*>(nullptr), &size)) && size) {
    instance->node_name.resize(size);
    if (!api.holds(api.call<Status*>(KernelInfo_GetNodeName, info, instance->node_name.data(), &size))) size = 1;
    instance->node_name.resize(size - 1);
  }
  const OperatorInfo& op = instance->op;
  for (size_t index = 0; index < op.attributes.size(); ++index) {
    const AttributeInfo& declared = op.attributes[index];
    if (comes_as_input(op, index) || read_attribute(api, info, declared, index, instance->attributes)) continue;
    if (has_other_type(api, info, declared.name))
      return error(api, invalid_argument, *instance,
                   std::string("the attribute '") + declared.name + "' has the wrong type");
    if (declared.required)
      return error(api, invalid_argument, *instance, std::string("the attribute '") + declared.name + "' is missing");
  }
  *out = instance.release();
  return nullptr;
}

Status* create_kernel(const CustomOp* self, const void* table, const KernelInfo* info, void** out) noexcept {
  return guarded(Api(table), [&] { return make_kernel(*static_cast<const RegisteredOp*>(self), table, info, out); });
}

// The attributes of one call, where some of them are inputs of the node.
void take_attributes(OrtContext& context, const OperatorInfo& op, std::vector<Attribute>& values) {
  for (size_t node = 0; node < op.node_inputs.size(); ++node) {
    const NodeInput& input = op.node_inputs[node];
    if (!input.is_attribute) continue;
    const AttributeInfo& declared = op.attributes[static_cast<size_t>(input.index)];
    View view;
    int32_t type = 0;
    context.node_input(node, view, &type);
    if (!view.present) {
      check(!declared.required, "the input '", declared.name, "' is absent");
      continue;
    }
    check(view.shape.count() == 1, "the input '", declared.name, "' has shape ", view.shape, "; it is a single number");
    double value = 0;
    switch (static_cast<DataType>(type)) {
      case DataType::float32: value = static_cast<double>(*static_cast<const float*>(view.data)); break;
      case DataType::float64: value = *static_cast<const double*>(view.data); break;
      case DataType::int32: value = *static_cast<const int32_t*>(view.data); break;
      case DataType::int64: value = static_cast<double>(*static_cast<const int64_t*>(view.data)); break;
      case DataType::boolean: value = *static_cast<const bool*>(view.data); break;
      default: throw Error(std::string("the input '") + declared.name + "' is no number that can be an attribute");
    }
    Attribute& target = values[static_cast<size_t>(input.index)];
    if (declared.kind != Kind::real)
      check(std::floor(value) == value, "the input '", declared.name, "' is ", value, "; it must be whole");
    target.real = value;
    target.integer = static_cast<int64_t>(value);
  }
}

bool run(const Instance& instance, OrtContext& context) {
  if (!instance.attributes_from_inputs) return instance.kernel.call(context, instance.attributes.data());
  std::vector<Attribute> values(instance.attributes.data(), instance.attributes.data() + instance.op.attributes.size());
  take_attributes(context, instance.op, values);
  return instance.kernel.call(context, values.data());
}

Status* compute(void* kernel, KernelContext* raw) noexcept {
  const Instance& instance = *static_cast<const Instance*>(kernel);
  return guarded(instance.api, [&]() -> Status* {
    OrtContext context(instance, raw);
    try {
      if (run(instance, context)) return nullptr;
    } catch (...) {
      context.fail(what_was_thrown());
    }
    return error(instance.api, invalid_argument, instance, context.message());
  });
}

int32_t one(const CustomOp*) { return 1; }

const RegisteredOp& registered(const CustomOp* self) { return *static_cast<const RegisteredOp*>(self); }

const NodeInput& node_input(const CustomOp* self, size_t index) { return registered(self).op->node_inputs[index]; }

// None of the functions that it points to throws: they read constants, but for the two guarded ones.
std::unique_ptr<RegisteredOp> make_op(const Choice& choice) {
  auto made = std::make_unique<RegisteredOp>();
  made->op = &library.operators[choice.op];
  made->kernel = choice.kernel;
  made->cuda = std::string_view(choice.device) == "cuda";
  for (size_t i = 0; i < choice.kernel->count; ++i) {
    const Parameter& parameter = choice.kernel->parameters[i];
    if (parameter.role == Role::attribute) continue;
    (parameter.role == Role::output ? made->outputs : made->inputs).push_back(&parameter);
  }
  made->version = api_version;
  made->name = [](const CustomOp* self) { return registered(self).op->name; };
  made->provider = [](const CustomOp* self) {
    return registered(self).cuda ? "CUDAExecutionProvider" : "CPUExecutionProvider";
  };
  made->input_count = [](const CustomOp* self) { return registered(self).op->node_inputs.size(); };
  made->input_type = [](const CustomOp* self, size_t index) {
    const NodeInput& input = node_input(self, index);
    if (input.is_attribute) return any_type;
    return static_cast<int32_t>(registered(self).inputs[static_cast<size_t>(input.index)]->dtype);
  };
  made->input_characteristic = [](const CustomOp* self, size_t index) -> int32_t {
    const NodeInput& input = node_input(self, index);
    if (input.is_attribute) return !registered(self).op->attributes[static_cast<size_t>(input.index)].required;
    return static_cast<int32_t>(registered(self).inputs[static_cast<size_t>(input.index)]->role);
  };
  made->input_memory = [](const CustomOp* self, size_t index) {
    const NodeInput& input = node_input(self, index);
    const bool host = input.is_attribute || registered(self).inputs[static_cast<size_t>(input.index)]->host;
    return host ? cpu_input : 0;
  };
  made->output_count = [](const CustomOp* self) { return registered(self).outputs.size(); };
  made->output_type = [](const CustomOp* self, size_t index) {
    return static_cast<int32_t>(registered(self).outputs[index]->dtype);
  };
  // A node may leave out an output that nobody uses.
  made->output_characteristic = [](const CustomOp*, size_t) -> int32_t { return 1; };
  made->variadic_input_least = [](const CustomOp*) -> int32_t { return 0; };
  made->variadic_input_homogeneous = one;
  made->variadic_output_least = one;
  made->variadic_output_homogeneous = one;
  made->start_version = one;
  made->end_version = [](const CustomOp*) -> int32_t { return INT32_MAX; };
  made->create_kernel_status = create_kernel;
  made->compute_status = compute;
  made->destroy = [](void* kernel) { delete static_cast<Instance*>(kernel); };
  return made;
}

// Made once, and never released: ONNX Runtime may keep the pointers as long as the process lives.
const std::vector<std::unique_ptr<RegisteredOp>>& operators() {
  static const auto& made = *new std::vector<std::unique_ptr<RegisteredOp>>([] {
    std::vector<std::unique_ptr<RegisteredOp>> all;
    for (const Choice& choice : choices()) all.push_back(make_op(choice));
    return all;
  }());
  return made;
}

Status* register_operators(SessionOptions* options, const ApiBase& base, const void* table, const Api& api) {
  const auto fail_with = [&api](const std::string& why) {
    return api.call<Status*>(CreateStatus, static_cast<int32_t>(fail), why.c_str());
  };
  if (!table)
    return fail_with(std::string("operators of '") + modelport::library.domain +
                     "' need ONNX Runtime >= 1.17, this is " + base.version());
  if (const char* why = modelport::refusal()) return fail_with(why);
  const auto& all = operators();
  Domain* domain = nullptr;
  if (Status* status = api.call<Status*>(CreateCustomOpDomain, modelport::library.domain, &domain)) return status;
  for (const auto& op : all)
    if (Status* status = api.call<Status*>(CustomOpDomain_Add, domain, static_cast<const CustomOp*>(op.get())))
      return status;
  return api.call<Status*>(AddCustomOpDomain, options, domain);
}

}  // namespace
}  // namespace modelport::ort

extern "C" __attribute__((visibility("default"))) modelport::ort::Status* RegisterCustomOps(
    modelport::ort::SessionOptions* options, const modelport::ort::ApiBase* base) {
  using namespace modelport::ort;
  const void* table = base->get_api(api_version);
  const Api api(table ? table : base->get_api(1));
  return guarded(api, [&] { return register_operators(options, *base, table, api); });
}
