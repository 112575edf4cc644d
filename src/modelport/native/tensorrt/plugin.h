// An operator as a plugin of TensorRT: IPluginV3 with its three capabilities, and its creator.
#pragma once

#include <NvInferRuntime.h>

#include <memory>
#include <string>
#include <vector>

#include "context.h"
#include "fields.h"
#include "shapes.h"

namespace modelport::trt {

constexpr const char* plugin_version = "1";

class Plugin final : public nvinfer1::IPluginV3,
                     public nvinfer1::IPluginV3OneCore,
                     public nvinfer1::IPluginV3OneBuild,
                     public nvinfer1::IPluginV3OneRuntime {
 public:
  Plugin(size_t op, std::shared_ptr<const Values> values);

  nvinfer1::IPluginCapability* getCapabilityInterface(nvinfer1::PluginCapabilityType type) noexcept override;
  nvinfer1::IPluginV3* clone() noexcept override;

  const char* getPluginName() const noexcept override { return op_.name; }
  const char* getPluginVersion() const noexcept override { return plugin_version; }
  const char* getPluginNamespace() const noexcept override { return library.domain; }

  int32_t getNbOutputs() const noexcept override;
  int32_t getOutputDataTypes(nvinfer1::DataType* outputs, int32_t output_count, const nvinfer1::DataType* inputs,
                             int32_t input_count) const noexcept override;
  int32_t getOutputShapes(const nvinfer1::DimsExprs* inputs, int32_t input_count,
                          const nvinfer1::DimsExprs* shape_inputs, int32_t shape_input_count,
                          nvinfer1::DimsExprs* outputs, int32_t output_count,
                          nvinfer1::IExprBuilder& builder) noexcept override;
  bool supportsFormatCombination(int32_t position, const nvinfer1::DynamicPluginTensorDesc* all, int32_t input_count,
                                 int32_t output_count) noexcept override;
  int32_t configurePlugin(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t input_count,
                          const nvinfer1::DynamicPluginTensorDesc* outputs, int32_t output_count) noexcept override;
  size_t getWorkspaceSize(const nvinfer1::DynamicPluginTensorDesc* inputs, int32_t input_count,
                          const nvinfer1::DynamicPluginTensorDesc* outputs,
                          int32_t output_count) const noexcept override;
  const char* getTimingCacheID() noexcept override { return values_->summary().c_str(); }
  const char* getMetadataString() noexcept override { return values_->summary().c_str(); }

  int32_t setTactic(int32_t tactic) noexcept override { return tactic == 0 ? 0 : -1; }
  int32_t onShapeChange(const nvinfer1::PluginTensorDesc* inputs, int32_t input_count,
                        const nvinfer1::PluginTensorDesc* outputs, int32_t output_count) noexcept override;
  int32_t enqueue(const nvinfer1::PluginTensorDesc* input_descs, const nvinfer1::PluginTensorDesc* output_descs,
                  const void* const* inputs, void* const* outputs, void* workspace,
                  cudaStream_t stream) noexcept override;
  nvinfer1::IPluginV3* attachToContext(nvinfer1::IPluginResourceContext*) noexcept override { return clone(); }
  const nvinfer1::PluginFieldCollection* getFieldsToSerialize() noexcept override { return &values_->serialized(); }

 private:
  template <class Body>
  int32_t guarded(Body&& body) const noexcept;
  size_t kernel_inputs(size_t given) const;
  const Parameter& input_parameter(const Kernel& kernel, size_t place) const;
  bool takes(const Kernel& kernel, const std::vector<DataType>& known, size_t input_count) const;
  // The kernel for the types of the first tensors, inputs before outputs; null where there is none.
  const Kernel* find_kernel(const std::vector<DataType>& known, size_t input_count) const;
  const Kernel& kernel_for(const std::vector<DataType>& inputs) const;
  std::vector<PluginInput> described(const Kernel& kernel, const std::vector<DataType>& types,
                                     const std::vector<Shape>& shapes) const;
  size_t measure(const Kernel& kernel, std::vector<PluginInput> inputs) const;
  void plan(const nvinfer1::PluginTensorDesc* inputs, size_t input_count);

  size_t index_;
  const OperatorInfo& op_;
  std::shared_ptr<const Values> values_;

  // Of the inputs, as TensorRT told them when it asked for those of the outputs.
  mutable std::vector<DataType> types_;
  // Of the shapes that were announced last.
  const Kernel* kernel_ = nullptr;
  std::vector<nvinfer1::Dims> announced_;
  std::vector<PluginInput> inputs_;
  std::vector<PluginOutput> outputs_;
  size_t workspace_ = 0;
};

class Creator final : public nvinfer1::IPluginCreatorV3One {
 public:
  explicit Creator(size_t op);

  nvinfer1::IPluginV3* createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                    nvinfer1::TensorRTPhase phase) noexcept override;
  const nvinfer1::PluginFieldCollection* getFieldNames() noexcept override { return &collection_; }
  const char* getPluginName() const noexcept override { return library.operators[index_].name; }
  const char* getPluginVersion() const noexcept override { return plugin_version; }
  const char* getPluginNamespace() const noexcept override { return library.domain; }

 private:
  size_t index_;
  std::vector<nvinfer1::PluginField> names_;
  nvinfer1::PluginFieldCollection collection_;
};

}  // namespace modelport::trt
