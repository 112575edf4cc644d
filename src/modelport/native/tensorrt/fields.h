// Attributes as TensorRT's plugin fields, and back.
#pragma once

#include <NvInferRuntime.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "attributes.h"

namespace modelport::trt {

// The field that says which of the operator's inputs a node has, by their places; without it they
// are the first ones.
constexpr const char* inputs_field = "modelport_inputs";

// What a plugin is created with. It is never changed, and clones share it.
class Values {
 public:
  // Reads fields of any numeric type. Throws what is missing, unknown or of a wrong type.
  Values(const OperatorInfo& op, const nvinfer1::PluginFieldCollection* fields);

  const Attribute* attributes() const { return attributes_.data(); }
  // The place of the kernel's input that the plugin's input is.
  size_t place(size_t input) const;
  // Throws where a plugin with so many inputs cannot be.
  void check_count(size_t inputs) const;
  // All attributes and the inputs, for an engine.
  const nvinfer1::PluginFieldCollection& serialized() const { return collection_; }
  // The same for people, and for the keys of caches.
  const std::string& summary() const { return summary_; }

 private:
  void read(size_t attribute, const nvinfer1::PluginField& field);
  void serialize();

  const OperatorInfo& op_;
  Attributes attributes_;
  std::vector<int64_t> places_;
  bool all_inputs_ = true;
  std::deque<std::string> bytes_;
  std::vector<nvinfer1::PluginField> fields_;
  nvinfer1::PluginFieldCollection collection_{};
  std::string summary_;
};

// The fields that a plugin of an operator takes.
std::vector<nvinfer1::PluginField> field_names(const OperatorInfo& op);

}  // namespace modelport::trt
