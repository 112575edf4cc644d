// Shape rules at work: on sizes that are known, and on TensorRT's expressions of those that are not.
#pragma once

#include <NvInferRuntime.h>

#include <optional>
#include <vector>

#include "library.h"
#include "plugins.h"

namespace modelport::trt {

// A size: known, or an expression.
struct Number {
  double value = 0;
  const nvinfer1::IDimensionExpr* expression = nullptr;
};

struct KnownInput {
  bool present = false;
  DataType type = DataType::none;
  std::vector<Number> dims;
};

struct KnownOutput {
  std::vector<Number> dims;
  std::vector<bool> is_bound;  // of each: whether it is only what the size is at most
};

// One evaluation of a shape rule.
class ShapeRule {
 public:
  // `inputs` are those of the kernel; the builder is needed where a size is an expression.
  ShapeRule(const PluginInfo& plugin, const OperatorInfo& op, const std::vector<KnownInput>& inputs,
            const Attribute* attributes, nvinfer1::IExprBuilder* builder);

  // Throws what the rule refuses.
  std::vector<KnownOutput> outputs();

  const nvinfer1::IDimensionExpr* expression(const Number& number);

 private:
  const Number& value(int32_t step);
  Number compute(const Step& step);
  Number of_input(const Step& step) const;
  Number of_attribute(const Step& step) const;
  Number combine(StepKind kind, const Number& a, const Number& b);
  std::vector<const Way*> open_ways();
  Number share(const Way& way);
  KnownOutput output(const Way& way, size_t place);

  const PluginInfo& plugin_;
  const OperatorInfo& op_;
  const std::vector<KnownInput>& inputs_;
  const Attribute* attributes_;
  nvinfer1::IExprBuilder* builder_;
  std::vector<std::optional<Number>> values_;
};

}  // namespace modelport::trt
