// What a library of plugins knows of its operators beside `library`: their shape rules, as data.
// The generated `plugins.cpp` defines `plugins`.
#pragma once

#include <cstdint>

#include "modelport/table.h"

namespace modelport::trt {

// One thing that a shape rule computes, or asks. `first` and `second` are steps where it computes,
// else an input or an attribute, and an axis or an item.
enum class StepKind : int32_t {
  constant,
  present,
  rank,
  dimension,
  type_is,
  count,
  attribute,
  item,
  length,
  text_is,
  add,
  subtract,
  multiply,
  divide,
  floor_divide,
  minimum,
  maximum,
  less,
  equal,
};

struct Step {
  StepKind kind;
  int32_t first, second;
  double number;
  const char* text;
};

struct Condition {
  int32_t step;
  bool holds;
};

struct Dimension {
  int32_t step;
  bool is_bound;  // values decide it; the step is what it is at most
};

struct OutputShape {
  int32_t like;  // the input that it is like; -1 where there are dimensions
  Span<Dimension> dimensions;
};

struct Way {
  Span<Condition> conditions;
  Span<OutputShape> outputs;
  const char* refusal;  // what the rule says where it refuses; else null
};

// A size that values decide: the plugin gives it as an output of its own.
struct Size {
  int32_t output, axis;
};

struct PluginInfo {
  Span<Step> steps;
  Span<Way> ways;
  Span<Size> sizes;
};

extern const Span<PluginInfo> plugins;  // in the order of `library.operators`

}  // namespace modelport::trt
