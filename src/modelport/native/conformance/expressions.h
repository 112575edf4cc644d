// Expressions of dimensions, as TensorRT keeps them: built by plugins, worked out here.
#pragma once

#include <NvInferRuntime.h>

#include <algorithm>
#include <cstdint>
#include <deque>
#include <limits>

class Expression final : public nvinfer1::IDimensionExpr, public nvinfer1::apiv::VDimensionExpr {
 public:
  // A size whose value plugins may know, or not.
  Expression(int64_t value, bool constant) : value_(value), constant_(constant) { mImpl = this; }
  // The size that an output of the plugin gives.
  Expression(int32_t output, const Expression& upper) : value_(upper.value()), output_(output) { mImpl = this; }

  bool isConstant() const override { return constant_; }
  int64_t getConstantValue() const override { return constant_ ? value_ : std::numeric_limits<int64_t>::min(); }
  bool isSizeTensor() const override { return output_ >= 0; }

  // Where it is a size that an output gives: what it is at most.
  int64_t value() const { return value_; }
  int32_t output() const { return output_; }

 private:
  int64_t value_;
  bool constant_ = false;
  int32_t output_ = -1;
};

class Builder final : public nvinfer1::IExprBuilder, public nvinfer1::apiv::VExprBuilder {
 public:
  Builder() { mImpl = this; }

  const nvinfer1::IDimensionExpr* constant(int64_t value) override { return &made_.emplace_back(value, true); }

  const nvinfer1::IDimensionExpr* variable(int64_t value) { return &made_.emplace_back(value, false); }

  const nvinfer1::IDimensionExpr* operation(nvinfer1::DimensionOperation op, const nvinfer1::IDimensionExpr& first,
                                            const nvinfer1::IDimensionExpr& second) override {
    using Op = nvinfer1::DimensionOperation;
    const int64_t a = static_cast<const Expression&>(first).value(), b = static_cast<const Expression&>(second).value();
    if ((op == Op::kFLOOR_DIV || op == Op::kCEIL_DIV) && b == 0) return nullptr;
    const bool constant = first.isConstant() && second.isConstant();
    int64_t value = 0;
    switch (op) {
      case Op::kSUM: value = a + b; break;
      case Op::kPROD: value = a * b; break;
      case Op::kMAX: value = std::max(a, b); break;
      case Op::kMIN: value = std::min(a, b); break;
      case Op::kSUB: value = a - b; break;
      case Op::kEQUAL: value = a == b; break;
      case Op::kLESS: value = a < b; break;
      case Op::kFLOOR_DIV: value = floored(a, b); break;
      case Op::kCEIL_DIV: value = -floored(-a, b); break;
      default: return nullptr;
    }
    return &made_.emplace_back(value, constant);
  }

  const nvinfer1::IDimensionExpr* declareSizeTensor(int32_t output, const nvinfer1::IDimensionExpr& opt,
                                                    const nvinfer1::IDimensionExpr& upper) override {
    const auto& most = static_cast<const Expression&>(upper);
    if (output < 0 || opt.isSizeTensor() || upper.isSizeTensor() ||
        static_cast<const Expression&>(opt).value() > most.value())
      return nullptr;
    return &made_.emplace_back(output, most);
  }

 private:
  static int64_t floored(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0)); }

  std::deque<Expression> made_;
};
