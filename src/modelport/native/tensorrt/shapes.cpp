#include "shapes.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace modelport::trt {

using nvinfer1::DimensionOperation;
using nvinfer1::IDimensionExpr;

ShapeRule::ShapeRule(const PluginInfo& plugin, const OperatorInfo& op, const std::vector<KnownInput>& inputs,
                     const Attribute* attributes, nvinfer1::IExprBuilder* builder)
    : plugin_(plugin), op_(op), inputs_(inputs), attributes_(attributes), builder_(builder),
      values_(plugin.steps.size()) {}

const Number& ShapeRule::value(int32_t step) {
  auto& known = values_[static_cast<size_t>(step)];
  if (!known) known = compute(plugin_.steps[static_cast<size_t>(step)]);
  return *known;
}

Number ShapeRule::compute(const Step& step) {
  if (step.kind == StepKind::constant) return {step.number};
  if (step.kind < StepKind::attribute) return of_input(step);
  if (step.kind < StepKind::add) return of_attribute(step);
  return combine(step.kind, value(step.first), value(step.second));
}

Number ShapeRule::of_input(const Step& step) const {
  const auto place = static_cast<size_t>(step.first);
  if (step.kind == StepKind::count) return {static_cast<double>(inputs_.size() - place)};
  const bool there = place < inputs_.size() && inputs_[place].present;
  if (step.kind == StepKind::present) return {static_cast<double>(there)};
  check(there, "input ", step.first, " is absent; the operator needs it");
  const KnownInput& input = inputs_[place];
  if (step.kind == StepKind::rank) return {static_cast<double>(input.dims.size())};
  if (step.kind == StepKind::type_is) return {static_cast<double>(!std::strcmp(name_of(input.type), step.text))};
  return input.dims.at(static_cast<size_t>(step.second));
}

Number ShapeRule::of_attribute(const Step& step) const {
  const auto place = static_cast<size_t>(step.first), item = static_cast<size_t>(step.second);
  const Attribute& attribute = attributes_[place];
  const Kind kind = op_.attributes[place].kind;
  if (step.kind == StepKind::text_is) return {static_cast<double>(attribute.string == step.text)};
  if (step.kind == StepKind::length)
    return {static_cast<double>(kind == Kind::integers ? attribute.integers.size() : attribute.reals.size())};
  if (step.kind == StepKind::item)
    return {kind == Kind::integers ? static_cast<double>(attribute.integers[item]) : attribute.reals[item]};
  return {kind == Kind::real ? attribute.real : static_cast<double>(attribute.integer)};
}

const IDimensionExpr* ShapeRule::expression(const Number& number) {
  if (number.expression) return number.expression;
  check(std::floor(number.value) == number.value, "a size is ", number.value, "; it must be whole");
  const IDimensionExpr* made = builder_->constant(static_cast<int64_t>(number.value));
  check(made, "TensorRT makes no constant of a size");
  return made;
}

Number ShapeRule::combine(StepKind kind, const Number& a, const Number& b) {
  if (!a.expression && !b.expression) {
    switch (kind) {
      case StepKind::add: return {a.value + b.value};
      case StepKind::subtract: return {a.value - b.value};
      case StepKind::multiply: return {a.value * b.value};
      case StepKind::minimum: return {std::min(a.value, b.value)};
      case StepKind::maximum: return {std::max(a.value, b.value)};
      case StepKind::less: return {static_cast<double>(a.value < b.value)};
      case StepKind::equal: return {static_cast<double>(a.value == b.value)};
      default: break;
    }
    check(b.value != 0, "a size is divided by 0");
    return {kind == StepKind::divide ? a.value / b.value : std::floor(a.value / b.value)};
  }
  DimensionOperation operation{};
  switch (kind) {
    case StepKind::add: operation = DimensionOperation::kSUM; break;
    case StepKind::subtract: operation = DimensionOperation::kSUB; break;
    case StepKind::multiply: operation = DimensionOperation::kPROD; break;
    case StepKind::floor_divide: operation = DimensionOperation::kFLOOR_DIV; break;
    case StepKind::minimum: operation = DimensionOperation::kMIN; break;
    case StepKind::maximum: operation = DimensionOperation::kMAX; break;
    case StepKind::less: operation = DimensionOperation::kLESS; break;
    case StepKind::equal: operation = DimensionOperation::kEQUAL; break;
    default: throw Error("a size that is not known yet is divided to a fraction");
  }
  const IDimensionExpr* made = builder_->operation(operation, *expression(a), *expression(b));
  check(made, "TensorRT makes no expression of a size");
  if (made->isConstant()) return {static_cast<double>(made->getConstantValue())};
  return {0, made};
}

// The ways that what is known does not exclude. A condition is looked at only where those before
// it hold: it may speak of an axis that is there only then.
std::vector<const Way*> ShapeRule::open_ways() {
  std::vector<const Way*> open;
  const char* refusal = "no inputs of these ranks";
  for (const Way& way : plugin_.ways) {
    bool excluded = false, certain = true;
    for (const Condition& condition : way.conditions) {
      const Number& asked = value(condition.step);
      if (asked.expression) {
        certain = false;
      } else if ((asked.value != 0) != condition.holds) {
        excluded = true;
        break;
      }
    }
    if (excluded) continue;
    if (!way.refusal) open.push_back(&way);
    else if (certain) throw Error(way.refusal);
    else refusal = way.refusal;  // the kernel looks again when sizes are known
  }
  check(!open.empty(), "the shape rule takes ", refusal);
  return open;
}

// 1 where a way is the one to go, else 0: an expression of the sizes that decide.
Number ShapeRule::share(const Way& way) {
  Number product{1};
  for (const Condition& condition : way.conditions) {
    const Number& asked = value(condition.step);
    if (!asked.expression) continue;
    product = combine(StepKind::multiply, product, condition.holds ? asked : combine(StepKind::subtract, {1}, asked));
  }
  return product;
}

KnownOutput ShapeRule::output(const Way& way, size_t place) {
  const OutputShape& shape = way.outputs[place];
  KnownOutput made;
  if (shape.like >= 0) {
    made.dims = inputs_.at(static_cast<size_t>(shape.like)).dims;
    made.is_bound.assign(made.dims.size(), false);
  }
  for (const Dimension& dimension : shape.dimensions) {
    made.dims.push_back(value(dimension.step));
    made.is_bound.push_back(dimension.is_bound);
  }
  return made;
}

std::vector<KnownOutput> ShapeRule::outputs() {
  const std::vector<const Way*> open = open_ways();
  std::vector<KnownOutput> made;
  for (size_t place = 0; place < op_.outputs.size(); ++place) {
    made.push_back(output(*open[0], place));
    if (open.size() == 1) continue;
    // Sizes decide between several ways: every way counts with its share.
    for (Number& dim : made.back().dims) dim = combine(StepKind::multiply, dim, share(*open[0]));
    for (size_t other = 1; other < open.size(); ++other) {
      const KnownOutput its = output(*open[other], place);
      check(its.is_bound == made.back().is_bound, "sizes decide the rank of output ", place);
      for (size_t axis = 0; axis < its.dims.size(); ++axis)
        made.back().dims[axis] = combine(StepKind::add, made.back().dims[axis],
                                         combine(StepKind::multiply, its.dims[axis], share(*open[other])));
    }
  }
  return made;
}

}  // namespace modelport::trt
