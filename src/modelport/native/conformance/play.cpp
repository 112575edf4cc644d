#include "play.h"

#include <cstring>
#include <memory>

#include "expressions.h"
#include "gpu.h"
#include "report.h"

using namespace nvinfer1;

namespace {

struct Dimensions {
  const Dims& dims;
};
std::ostream& operator<<(std::ostream& out, const Dimensions& shown) {
  out << shown.dims.nbDims;
  for (int32_t axis = 0; axis < shown.dims.nbDims; ++axis) out << ' ' << shown.dims.d[axis];
  return out;
}

struct Faces {
  IPluginV3OneCore* core;
  IPluginV3OneBuild* build;
  IPluginV3OneRuntime* runtime;
};

template <class Face>
Face* face(IPluginV3& plugin, PluginCapabilityType type, const char* kind) {
  IPluginCapability* found = plugin.getCapabilityInterface(type);
  demand(found, std::string("there is no capability ") + kind);
  demand(!std::strcmp(found->getInterfaceInfo().kind, kind), std::string("the capability is no ") + kind);
  return static_cast<Face*>(found);
}

Faces faces_of(IPluginV3& plugin) {
  return {face<IPluginV3OneCore>(plugin, PluginCapabilityType::kCORE, "PLUGIN_V3ONE_CORE"),
          face<IPluginV3OneBuild>(plugin, PluginCapabilityType::kBUILD, "PLUGIN_V3ONE_BUILD"),
          face<IPluginV3OneRuntime>(plugin, PluginCapabilityType::kRUNTIME, "PLUGIN_V3ONE_RUNTIME")};
}

// The plugin of a case through a build and a run.
class Play {
 public:
  Play(IPluginCreatorV3One& creator, const Case& given) : creator_(creator), given_(given) {
    for (const Tensor& input : given.inputs) types_.push_back(input.type);
  }

  void run(bool gpu) {
    logged.clear();
    plugin_ = create(given_.fields, TensorRTPhase::kBUILD);
    change_to_clone();
    outputs_known();
    formats();
    configured();
    announced(shapes_of_case());
    serialized();
    attached();
    if (!given_.changed.empty()) announced(given_.changed);
    refused();
    announced(shapes_of_case());
    if (gpu) run_on_gpu(*faces_.runtime, given_, outputs_, sizes_, workspace_);
    else fails_without_gpu();
  }

 private:
  std::unique_ptr<IPluginV3> create(const std::vector<PluginField>& fields, TensorRTPhase phase) {
    const PluginFieldCollection collection{static_cast<int32_t>(fields.size()), fields.data()};
    std::unique_ptr<IPluginV3> made(creator_.createPlugin("layer", &collection, phase));
    demand(made != nullptr, "the creator makes no plugin");
    faces_ = faces_of(*made);
    demand(!std::strcmp(faces_.core->getPluginName(), creator_.getPluginName()) &&
               !std::strcmp(faces_.core->getPluginVersion(), creator_.getPluginVersion()) &&
               !std::strcmp(faces_.core->getPluginNamespace(), creator_.getPluginNamespace()),
           "plugin and creator have different names");
    return made;
  }

  // A network keeps a clone; who made the plugin deletes it.
  void change_to_clone() {
    std::unique_ptr<IPluginV3> clone(plugin_->clone());
    demand(clone != nullptr, "there is no clone");
    demand(clone.get() != plugin_.get(), "the clone is the plugin itself");
    plugin_ = std::move(clone);
    faces_ = faces_of(*plugin_);
  }

  void outputs_known() {
    const int32_t count = faces_.build->getNbOutputs();
    demand(count >= static_cast<int32_t>(given_.outputs.size()), "there are too few outputs");
    std::vector<DataType> types(static_cast<size_t>(count), DataType::kBOOL);
    demand(!faces_.build->getOutputDataTypes(types.data(), count, types_.data(), static_cast<int32_t>(types_.size())),
           "getOutputDataTypes fails");
    outputs_.clear();
    for (const DataType type : types) outputs_.push_back({type, Dims{}});
    // Once with sizes that are known when the engine is built, once with sizes that are not.
    const std::vector<Dims> known = shapes(true), unknown = shapes(false);
    for (size_t i = 0; i < known.size(); ++i) {
      outputs_[i].dims = unknown[i];
      say("output", static_cast<int32_t>(outputs_[i].type), Dimensions{unknown[i]});
      demand(known[i].nbDims == unknown[i].nbDims &&
                 !std::memcmp(known[i].d, unknown[i].d, sizeof(int64_t) * static_cast<size_t>(known[i].nbDims)),
             "sizes that are known and sizes that are not give different shapes");
    }
    for (const auto& [output, axis] : sizes_) say("size", output, axis);
  }

  std::vector<Dims> shapes(bool constant) {
    Builder builder;
    std::vector<DimsExprs> inputs, outputs(outputs_.size());
    for (const Tensor& input : given_.inputs) {
      DimsExprs& dims = inputs.emplace_back();
      dims.nbDims = input.dims.nbDims;
      for (int32_t axis = 0; axis < dims.nbDims; ++axis)
        dims.d[axis] = constant ? builder.constant(input.dims.d[axis]) : builder.variable(input.dims.d[axis]);
    }
    for (DimsExprs& dims : outputs) dims.nbDims = -1;
    demand(!faces_.build->getOutputShapes(inputs.data(), static_cast<int32_t>(inputs.size()), nullptr, 0,
                                          outputs.data(), static_cast<int32_t>(outputs.size()), builder),
           "getOutputShapes fails");
    std::vector<Dims> found;
    sizes_.clear();
    for (size_t i = 0; i < outputs.size(); ++i) {
      demand(outputs[i].nbDims >= 0 && outputs[i].nbDims <= Dims::MAX_DIMS, "an output has no shape");
      Dims& dims = found.emplace_back();
      dims.nbDims = outputs[i].nbDims;
      for (int32_t axis = 0; axis < dims.nbDims; ++axis) {
        demand(outputs[i].d[axis], "a dimension of an output is null");
        const auto& dim = static_cast<const Expression&>(*outputs[i].d[axis]);
        dims.d[axis] = dim.value();
        if (!dim.isSizeTensor()) continue;
        demand(dim.output() < static_cast<int32_t>(outputs.size()) &&
                   outputs[static_cast<size_t>(dim.output())].nbDims == 0 &&
                   outputs_[static_cast<size_t>(dim.output())].type == DataType::kINT32,
               "a size tensor is no INT32 scalar");
        demand(dim.output() == static_cast<int32_t>(given_.outputs.size() + sizes_.size()),
               "size tensors are out of order");
        sizes_.emplace_back(i, axis);
      }
    }
    return found;
  }

  std::vector<Dims> shapes_of_case() const {
    std::vector<Dims> dims;
    for (const Tensor& input : given_.inputs) dims.push_back(input.dims);
    return dims;
  }

  std::vector<DynamicPluginTensorDesc> all_descs() const {
    std::vector<DynamicPluginTensorDesc> descs;
    for (const auto* tensors : {&given_.inputs, &outputs_})
      for (const Tensor& tensor : *tensors) {
        const PluginTensorDesc desc{tensor.dims, tensor.type, TensorFormat::kLINEAR, 1.0f};
        descs.push_back({desc, tensor.dims, tensor.dims, tensor.dims});
      }
    return descs;
  }

  // Every tensor is asked for in every type and some layouts, those before it as they are.
  void formats() {
    const auto inputs = static_cast<int32_t>(given_.inputs.size()), outputs = static_cast<int32_t>(outputs_.size());
    for (int32_t position = 0; position < inputs + outputs; ++position) {
      std::vector<DynamicPluginTensorDesc> descs = all_descs();
      PluginTensorDesc& asked = descs[static_cast<size_t>(position)].desc;
      const DataType own = asked.type;
      std::string taken;
      for (int32_t type = 0; type < EnumMax<DataType>(); ++type)
        for (const TensorFormat format : {TensorFormat::kLINEAR, TensorFormat::kCHW4, TensorFormat::kHWC8}) {
          asked.type = static_cast<DataType>(type), asked.format = format;
          // What comes after must not be looked at.
          for (size_t later = static_cast<size_t>(position) + 1; later < descs.size(); ++later)
            descs[later].desc.type = static_cast<DataType>(type % 2 ? 0 : 4);
          const bool supported = faces_.build->supportsFormatCombination(position, descs.data(), inputs, outputs);
          demand(!supported || (asked.type != DataType::kBOOL && asked.type != DataType::kUINT8),
                 "a tensor of bool or uint8 is taken");
          demand(!supported || format == TensorFormat::kLINEAR, "another layout than the linear one is taken");
          demand(supported || asked.type != own || format != TensorFormat::kLINEAR, "the case's own type is not taken");
          if (supported) taken += " " + std::to_string(type);
        }
      say("types", position, taken);
    }
  }

  void configured() {
    const std::vector<DynamicPluginTensorDesc> descs = all_descs();
    const auto inputs = static_cast<int32_t>(given_.inputs.size()), outputs = static_cast<int32_t>(outputs_.size());
    const DynamicPluginTensorDesc* first_output = descs.data() + inputs;
    demand(!faces_.build->configurePlugin(descs.data(), inputs, first_output, outputs), "configurePlugin fails");
    demand(faces_.build->getFormatCombinationLimit() > 0, "no combination of formats is to be tried");
    std::vector<int32_t> tactics(static_cast<size_t>(faces_.build->getNbTactics()));
    demand(!faces_.build->getValidTactics(tactics.data(), static_cast<int32_t>(tactics.size())),
           "getValidTactics fails");
    for (const int32_t tactic : tactics) demand(tactic > 0, "a tactic is not above 0");
    workspace_ = faces_.build->getWorkspaceSize(descs.data(), inputs, first_output, outputs);
    demand(logged.empty(), "getWorkspaceSize fails");
    say("workspace", workspace_);
    const char* id = faces_.build->getTimingCacheID();
    say("id", id ? to_hex(id, std::strlen(id)) : "");
    demand(faces_.runtime->setTactic(0) == 0, "the default tactic is refused");
  }

  int32_t announce(const std::vector<Dims>& shapes) {
    std::vector<PluginTensorDesc> inputs, outputs;
    for (size_t i = 0; i < shapes.size(); ++i) inputs.push_back({shapes[i], types_[i], TensorFormat::kLINEAR, 1.0f});
    for (const Tensor& output : outputs_) outputs.push_back({output.dims, output.type, TensorFormat::kLINEAR, 1.0f});
    return faces_.runtime->onShapeChange(inputs.data(), static_cast<int32_t>(inputs.size()), outputs.data(),
                                         static_cast<int32_t>(outputs.size()));
  }

  void announced(const std::vector<Dims>& shapes) { demand(announce(shapes) == 0, "onShapeChange fails"); }

  // An engine keeps the fields alone; the plugin is made again from copies of them.
  void serialized() {
    const PluginFieldCollection* kept = faces_.runtime->getFieldsToSerialize();
    demand(kept, "there are no fields to serialize");
    std::deque<std::string> names, bytes;
    std::vector<PluginField> fields;
    for (int32_t i = 0; i < kept->nbFields; ++i) {
      const PluginField& field = kept->fields[i];
      names.emplace_back(field.name);
      bytes.emplace_back(static_cast<const char*>(field.data), static_cast<size_t>(field.length) * size_of(field.type));
      fields.emplace_back(names.back().c_str(), bytes.back().data(), field.type, field.length);
    }
    plugin_.reset();
    plugin_ = create(fields, TensorRTPhase::kRUNTIME);
    const PluginFieldCollection* again = faces_.runtime->getFieldsToSerialize();
    demand(again && again->nbFields == kept_count(fields), "the fields of the plugin that was made again are others");
    for (size_t i = 0; i < fields.size(); ++i) {
      const PluginField& field = again->fields[i];
      const std::string now(static_cast<const char*>(field.data),
                            static_cast<size_t>(field.length) * size_of(field.type));
      demand(names[i] == field.name && fields[i].type == field.type && bytes[i] == now,
             "the field " + names[i] + " is another one in the plugin that was made again");
      say("field", names[i], static_cast<int32_t>(field.type), field.length, to_hex(now.data(), now.size()));
    }
  }

  static int32_t kept_count(const std::vector<PluginField>& fields) { return static_cast<int32_t>(fields.size()); }

  void attached() {
    std::unique_ptr<IPluginV3> own(faces_.runtime->attachToContext(nullptr));
    demand(own != nullptr && own.get() != plugin_.get(), "attachToContext gives no clone");
    engine_ = std::move(plugin_);  // it stays with the engine as long as contexts have clones of it
    plugin_ = std::move(own);
    faces_ = faces_of(*plugin_);
    demand(faces_.runtime->setTactic(0) == 0, "the default tactic is refused");
  }

  // Nothing of another shape or type may go on as if nothing were.
  void refused() {
    const std::vector<DataType> own = types_;
    for (DataType& type : types_) type = DataType::kBOOL;
    demand(announce(shapes_of_case()) != 0, "tensors of bool are taken");
    demand(!logged.empty(), "it is not said that tensors of bool are not taken");
    logged.clear();
    types_ = own;
  }

  void fails_without_gpu() {
    std::vector<PluginTensorDesc> inputs, outputs;
    for (const Tensor& input : given_.inputs) inputs.push_back({input.dims, input.type, TensorFormat::kLINEAR, 1.0f});
    for (const Tensor& output : outputs_) outputs.push_back({output.dims, output.type, TensorFormat::kLINEAR, 1.0f});
    // Places that are never looked at: without a GPU nothing is copied and nothing is launched.
    std::vector<char> memory(workspace_ + 256);
    std::vector<const void*> from(inputs.size(), memory.data());
    std::vector<void*> to(outputs.size(), memory.data());
    const int32_t code =
        faces_.runtime->enqueue(inputs.data(), outputs.data(), from.data(), to.data(), memory.data(), nullptr);
    demand(code == 0 || !logged.empty(), "enqueue fails and does not say why");
    say("enqueue", code, logged);
    logged.clear();
  }

  IPluginCreatorV3One& creator_;
  const Case& given_;
  std::vector<DataType> types_;
  std::unique_ptr<IPluginV3> plugin_, engine_;
  Faces faces_{};
  std::vector<Tensor> outputs_;  // sizes that values decide are what they are at most
  std::vector<std::pair<size_t, int32_t>> sizes_;
  size_t workspace_ = 0;
};

}  // namespace

void play_case(IPluginCreatorV3One& creator, const Case& given, bool gpu) { Play(creator, given).run(gpu); }
