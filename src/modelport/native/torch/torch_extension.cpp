// The operators as a plain extension of PyTorch, compiled against its headers.

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/library.h>

#include <deque>
#include <string>
#include <vector>

#include "attributes.h"
#include "library.h"

namespace modelport {
namespace {

at::ScalarType torch_type(DataType type) {
  switch (type) {
    case DataType::float32: return at::kFloat;
    case DataType::float64: return at::kDouble;
    case DataType::float16: return at::kHalf;
    case DataType::bfloat16: return at::kBFloat16;
    case DataType::int32: return at::kInt;
    case DataType::int64: return at::kLong;
    case DataType::int8: return at::kChar;
    case DataType::uint8: return at::kByte;
    case DataType::boolean: return at::kBool;
    case DataType::none: break;
  }
  return at::ScalarType::Undefined;
}

std::vector<const Parameter*> parameters_of(const Kernel& kernel, bool outputs) {
  std::vector<const Parameter*> found;
  for (size_t i = 0; i < kernel.count; ++i) {
    const Parameter& parameter = kernel.parameters[i];
    if (parameter.role != Role::attribute && (parameter.role == Role::output) == outputs) found.push_back(&parameter);
  }
  return found;
}

class TorchContext final : public Context {
 public:
  TorchContext(std::vector<at::Tensor> inputs, const Kernel& kernel)
      : inputs_(std::move(inputs)), results_(parameters_of(kernel, true)), outputs(results_.size()) {}

  size_t input_count() const override { return inputs_.size(); }

  void input(size_t index, View& view) override {
    if (index >= inputs_.size() || !inputs_[index].defined()) return;
    const at::Tensor& tensor = inputs_[index];
    view.shape.assign(tensor.sizes().data(), static_cast<size_t>(tensor.dim()));
    view.data = tensor.data_ptr();
    view.present = true;
  }

  void* output(size_t index, const Shape& shape) override {
    const at::IntArrayRef sizes(shape.data(), shape.rank());
    outputs[index] = at::empty(sizes, at::TensorOptions(torch_type(results_[index]->dtype)));
    return outputs[index].data_ptr();
  }

  int threads() const override { return at::get_num_threads(); }
  void* raw_stream() const override { return nullptr; }

  void run_parallel(size_t pieces, void (*piece)(void*, size_t), void* data) override {
    at::parallel_for(0, static_cast<int64_t>(pieces), 1, [=](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) piece(data, static_cast<size_t>(i));
    });
  }

  void* take_scratch(size_t bytes) override { return scratch_.take(bytes); }
  void fail(const char* message) override { error = message; }

 private:
  std::vector<at::Tensor> inputs_;
  std::vector<const Parameter*> results_;
  Scratch scratch_;

 public:
  std::vector<at::Tensor> outputs;
  std::string error;
};

void set_attribute(Attributes& attributes, size_t index, Kind kind, const c10::IValue& value) {
  switch (kind) {
    case Kind::integer: attributes.set(index, value.toInt()); break;
    case Kind::boolean: attributes.set(index, static_cast<int64_t>(value.toBool())); break;
    case Kind::real: attributes.set(index, value.toDouble()); break;
    case Kind::string: attributes.set(index, std::string(value.toStringRef())); break;
    case Kind::integers: attributes.set(index, value.toIntVector()); break;
    case Kind::reals: attributes.set(index, value.toDoubleVector()); break;
    case Kind::strings: {
      std::string joined;
      for (const c10::IValue& item : value.toListRef()) joined += item.toStringRef() + '\x1f';
      attributes.set_strings(index, joined);
      break;
    }
    case Kind::none: break;
  }
}

void push_tensors(std::vector<at::Tensor>& tensors, const c10::IValue& value) {
  if (value.isNone()) {
    tensors.emplace_back();
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) tensors.push_back(tensor.contiguous());
  } else {
    tensors.push_back(value.toTensor().contiguous());
  }
}

bool takes(const Kernel& kernel, const std::vector<at::Tensor>& inputs) {
  const auto wanted = parameters_of(kernel, false);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Parameter& parameter = *wanted[i < wanted.size() ? i : wanted.size() - 1];
    if (inputs[i].defined() && inputs[i].scalar_type() != torch_type(parameter.dtype)) return false;
  }
  return true;
}

const Kernel& kernel_for(size_t op, const std::vector<at::Tensor>& inputs) {
  for (const Choice& choice : choices())
    if (choice.op == op && takes(*choice.kernel, inputs)) return *choice.kernel;
  TORCH_CHECK_TYPE(false, library.domain, "::", library.operators[op].name, " has no kernel for these dtypes");
}

void call(size_t place, torch::jit::Stack* stack) {
  const OperatorInfo& op = library.operators[place];
  const size_t count = op.inputs.size() + op.attributes.size();
  std::vector<at::Tensor> inputs;
  Attributes attributes(op);
  for (size_t i = 0; i < count; ++i) {
    const c10::IValue& value = (*stack)[stack->size() - count + i];
    if (i < op.inputs.size()) push_tensors(inputs, value);
    else set_attribute(attributes, i - op.inputs.size(), op.attributes[i - op.inputs.size()].kind, value);
  }
  torch::jit::drop(*stack, count);
  const Kernel& kernel = kernel_for(place, inputs);
  TorchContext context(std::move(inputs), kernel);
  const bool good = kernel.call(context, attributes.data());
  TORCH_CHECK_VALUE(good, library.domain, "::", op.name, ": ", context.error);
  for (at::Tensor& output : context.outputs) stack->emplace_back(std::move(output));
}

}  // namespace

// The generated file names the operators: their places must be constants.
template <size_t Place>
void boxed(const c10::OperatorHandle&, torch::jit::Stack* stack) {
  call(Place, stack);
}

}  // namespace modelport

#include "operators.inc"
