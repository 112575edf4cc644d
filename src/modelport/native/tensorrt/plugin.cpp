#include "plugin.h"

#include "log.h"
#include "types.h"

namespace modelport::trt {

using nvinfer1::DimsExprs;
using nvinfer1::DynamicPluginTensorDesc;
using nvinfer1::PluginTensorDesc;
using nvinfer1::TensorFormat;

namespace {

template <class Desc>
std::vector<DataType> types_of(const Desc* descs, size_t count) {
  std::vector<DataType> types;
  for (size_t i = 0; i < count; ++i) types.push_back(from_tensorrt(descs[i].type));
  return types;
}

Shape shape_of(const nvinfer1::Dims& dims) {
  Shape shape;
  check(dims.nbDims >= 0, "a tensor has no rank");
  shape.assign(dims.d, static_cast<size_t>(dims.nbDims));
  for (size_t axis = 0; axis < shape.rank(); ++axis)
    check(shape[axis] >= 0, "a tensor has the shape ", shape, ": a size is not known");
  return shape;
}

bool same(const nvinfer1::Dims& a, const nvinfer1::Dims& b) {
  if (a.nbDims != b.nbDims) return false;
  for (int32_t axis = 0; axis < a.nbDims; ++axis)
    if (a.d[axis] != b.d[axis]) return false;
  return true;
}

}  // namespace

Plugin::Plugin(size_t op, std::shared_ptr<const Values> values)
    : index_(op), op_(library.operators[op]), values_(std::move(values)) {}

// What TensorRT takes for an error is a number other than 0.
template <class Body>
int32_t Plugin::guarded(Body&& body) const noexcept {
  return trt::guarded(op_.name, nullptr, body) ? 0 : -1;
}

nvinfer1::IPluginCapability* Plugin::getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept {
  switch (type) {
    case nvinfer1::PluginCapabilityType::kCORE: return static_cast<nvinfer1::IPluginV3OneCore*>(this);
    case nvinfer1::PluginCapabilityType::kBUILD: return static_cast<nvinfer1::IPluginV3OneBuild*>(this);
    case nvinfer1::PluginCapabilityType::kRUNTIME: return static_cast<nvinfer1::IPluginV3OneRuntime*>(this);
  }
  return nullptr;
}

nvinfer1::IPluginV3* Plugin::clone() noexcept {
  Plugin* made = nullptr;
  guarded([&] { made = new Plugin(*this); });
  return made;
}

int32_t Plugin::getNbOutputs() const noexcept {
  return static_cast<int32_t>(op_.outputs.size() + plugins[index_].sizes.size());
}

const Parameter& Plugin::input_parameter(const Kernel& kernel, size_t place) const {
  // Inputs come first; a list is the last of them, and goes on.
  return kernel.parameters[place < op_.inputs.size() ? place : op_.inputs.size() - 1];
}

bool Plugin::takes(const Kernel& kernel, const std::vector<DataType>& known, size_t input_count) const {
  for (size_t i = 0; i < known.size(); ++i) {
    DataType wanted = DataType::int32;  // of a size that values decide
    if (i < input_count) wanted = input_parameter(kernel, values_->place(i)).dtype;
    else if (i - input_count < op_.outputs.size())
      wanted = kernel.parameters[op_.inputs.size() + i - input_count].dtype;
    if (known[i] != wanted) return false;
  }
  return true;
}

const Kernel* Plugin::find_kernel(const std::vector<DataType>& known, size_t input_count) const {
  for (const Choice& choice : choices())
    if (choice.op == index_ && takes(*choice.kernel, known, input_count)) return choice.kernel;
  return nullptr;
}

const Kernel& Plugin::kernel_for(const std::vector<DataType>& inputs) const {
  std::string types;
  for (const DataType type : inputs) types += (types.empty() ? "" : ", ") + text(name_of(type));
  const Kernel* found = find_kernel(inputs, inputs.size());
  check(found, "there is no kernel for (", types, ")");
  return *found;
}

size_t Plugin::kernel_inputs(size_t given) const {
  values_->check_count(given);
  size_t count = op_.inputs.size();
  const Kernel* kernel = find_kernel({}, 0);
  const bool takes_list = kernel && input_parameter(*kernel, count - 1).role == Role::list;
  if (takes_list) count -= 1;
  for (size_t i = 0; i < given; ++i) {
    const size_t place = values_->place(i);
    check(place < op_.inputs.size() || takes_list, "there are ", given, " inputs; the operator takes ",
          op_.inputs.size());
    count = place + 1 > count ? place + 1 : count;
  }
  return count;
}

int32_t Plugin::getOutputDataTypes(nvinfer1::DataType* outputs, int32_t output_count, const nvinfer1::DataType* inputs,
                                   int32_t input_count) const noexcept {
  return guarded([&] {
    check(output_count == getNbOutputs(), "TensorRT asks for ", output_count, " outputs of ", getNbOutputs());
    values_->check_count(static_cast<size_t>(input_count));
    std::vector<DataType> types;
    for (int32_t i = 0; i < input_count; ++i) types.push_back(from_tensorrt(inputs[i]));
    const Kernel& kernel = kernel_for(types);
    types_ = types;
    for (size_t i = 0; i < static_cast<size_t>(output_count); ++i)
      outputs[i] = i < op_.outputs.size() ? to_tensorrt(kernel.parameters[op_.inputs.size() + i].dtype)
                                          : nvinfer1::DataType::kINT32;
  });
}

int32_t Plugin::getOutputShapes(const DimsExprs* inputs, int32_t input_count, const DimsExprs*, int32_t,
                                DimsExprs* outputs, int32_t output_count, nvinfer1::IExprBuilder& builder) noexcept {
  return guarded([&] {
    check(output_count == getNbOutputs(), "TensorRT asks for ", output_count, " outputs of ", getNbOutputs());
    const auto given = static_cast<size_t>(input_count);
    std::vector<KnownInput> known(kernel_inputs(given));
    for (size_t i = 0; i < given; ++i) {
      KnownInput& input = known[values_->place(i)];
      input.present = true;
      if (i < types_.size()) input.type = types_[i];
      for (int32_t axis = 0; axis < inputs[i].nbDims; ++axis) {
        const nvinfer1::IDimensionExpr* dim = inputs[i].d[axis];
        input.dims.push_back(dim->isConstant() ? Number{static_cast<double>(dim->getConstantValue())} : Number{0, dim});
      }
    }
    ShapeRule rule(plugins[index_], op_, known, values_->attributes(), &builder);
    const std::vector<KnownOutput> found = rule.outputs();
    auto size = static_cast<int32_t>(found.size());  // the output that the next size is
    for (size_t i = 0; i < found.size(); ++i) {
      check(found[i].dims.size() <= max_rank, "output ", i, " would have rank ", found[i].dims.size());
      outputs[i].nbDims = static_cast<int32_t>(found[i].dims.size());
      for (size_t axis = 0; axis < found[i].dims.size(); ++axis) {
        const nvinfer1::IDimensionExpr* dim = rule.expression(found[i].dims[axis]);
        if (found[i].is_bound[axis]) {
          outputs[size].nbDims = 0;
          dim = builder.declareSizeTensor(size++, *dim, *dim);
          check(dim, "TensorRT takes no size tensor for output ", i);
        }
        outputs[i].d[axis] = dim;
      }
    }
  });
}

bool Plugin::supportsFormatCombination(int32_t position, const DynamicPluginTensorDesc* all, int32_t input_count,
                                       int32_t) noexcept {
  bool supported = false;
  guarded([&] {
    if (all[position].desc.format != TensorFormat::kLINEAR) return;
    std::vector<DataType> known;
    for (int32_t i = 0; i <= position; ++i) known.push_back(from_tensorrt(all[i].desc.type));
    supported = find_kernel(known, static_cast<size_t>(input_count)) != nullptr;
  });
  return supported;
}

int32_t Plugin::configurePlugin(const DynamicPluginTensorDesc* inputs, int32_t input_count,
                                const DynamicPluginTensorDesc*, int32_t output_count) noexcept {
  return guarded([&] {
    check(output_count == getNbOutputs(), "there are ", output_count, " outputs; the plugin has ", getNbOutputs());
    kernel_inputs(static_cast<size_t>(input_count));
    std::vector<DataType> types;
    for (int32_t i = 0; i < input_count; ++i) types.push_back(from_tensorrt(inputs[i].desc.type));
    kernel_for(types);
  });
}

std::vector<PluginInput> Plugin::described(const Kernel& kernel, const std::vector<DataType>& types,
                                           const std::vector<Shape>& shapes) const {
  std::vector<PluginInput> inputs(kernel_inputs(types.size()));
  for (size_t i = 0; i < types.size(); ++i) {
    const size_t place = values_->place(i);
    inputs[place] = {true, input_parameter(kernel, place).host, types[i], shapes[i], nullptr};
  }
  return inputs;
}

// The kernel's own code says how much it takes: it runs without launching anything.
size_t Plugin::measure(const Kernel& kernel, std::vector<PluginInput> inputs) const {
  MeasuringContext context(std::move(inputs));
  kernel.call(context, values_->attributes());
  return context.taken();
}

// For the largest shapes; a kernel takes no more for smaller ones.
size_t Plugin::getWorkspaceSize(const DynamicPluginTensorDesc* inputs, int32_t input_count,
                                const DynamicPluginTensorDesc*, int32_t) const noexcept {
  size_t bytes = 0;
  guarded([&] {
    std::vector<DataType> types;
    std::vector<Shape> shapes;
    for (int32_t i = 0; i < input_count; ++i) {
      types.push_back(from_tensorrt(inputs[i].desc.type));
      shapes.push_back(shape_of(inputs[i].max));
    }
    const Kernel& kernel = kernel_for(types);
    bytes = measure(kernel, described(kernel, types, shapes));
  });
  return bytes;
}

void Plugin::plan(const PluginTensorDesc* inputs, size_t input_count) {
  kernel_ = nullptr;
  const std::vector<DataType> types = types_of(inputs, input_count);
  const Kernel& kernel = kernel_for(types);
  std::vector<Shape> shapes;
  announced_.clear();
  for (size_t i = 0; i < input_count; ++i) {
    announced_.push_back(inputs[i].dims);
    shapes.push_back(shape_of(inputs[i].dims));
  }
  inputs_ = described(kernel, types, shapes);
  std::vector<KnownInput> known(inputs_.size());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    known[i].present = inputs_[i].present;
    known[i].type = inputs_[i].type;
    for (size_t axis = 0; axis < inputs_[i].shape.rank(); ++axis)
      known[i].dims.push_back({static_cast<double>(inputs_[i].shape[axis])});
  }
  outputs_.clear();
  for (const KnownOutput& found : ShapeRule(plugins[index_], op_, known, values_->attributes(), nullptr).outputs()) {
    PluginOutput output;
    output.most.resize(found.dims.size());
    for (size_t axis = 0; axis < found.dims.size(); ++axis) {
      output.most[axis] = static_cast<int64_t>(found.dims[axis].value);
      output.is_bound[axis] = found.is_bound[axis];
    }
    outputs_.push_back(output);
  }
  workspace_ = measure(kernel, inputs_);
  kernel_ = &kernel;
}

int32_t Plugin::onShapeChange(const PluginTensorDesc* inputs, int32_t input_count, const PluginTensorDesc*,
                              int32_t output_count) noexcept {
  return guarded([&] {
    check(output_count == getNbOutputs(), "there are ", output_count, " outputs; the plugin has ", getNbOutputs());
    plan(inputs, static_cast<size_t>(input_count));
  });
}

int32_t Plugin::enqueue(const PluginTensorDesc* input_descs, const PluginTensorDesc*, const void* const* inputs,
                        void* const* outputs, void* workspace, cudaStream_t stream) noexcept {
  return guarded([&] {
    check(kernel_, "it was not told the shapes before");
    // A size that values decided further up is known only now.
    for (size_t i = 0; i < announced_.size(); ++i)
      if (!same(announced_[i], input_descs[i].dims)) {
        plan(input_descs, announced_.size());
        break;
      }
    std::vector<PluginInput> given = inputs_;
    for (size_t i = 0; i < announced_.size(); ++i) given[values_->place(i)].data = inputs[i];
    std::vector<PluginOutput> made = outputs_;
    for (size_t i = 0; i < made.size(); ++i) made[i].data = outputs[i];
    for (size_t i = 0; i < plugins[index_].sizes.size(); ++i) {
      const Size& size = plugins[index_].sizes[i];
      made[static_cast<size_t>(size.output)].sizes[size.axis] = static_cast<int32_t*>(outputs[made.size() + i]);
    }
    EnqueueContext context(std::move(given), std::move(made), workspace, workspace_, stream);
    if (!kernel_->call(context, values_->attributes())) throw Error(context.message());
  });
}

}  // namespace modelport::trt
