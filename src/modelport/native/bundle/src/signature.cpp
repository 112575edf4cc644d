#include "signature.h"

#include <algorithm>
#include <cstring>

#include "error.h"

namespace modelport::runtime {
namespace {

constexpr DType dtypes[] = {
    {MODELPORT_FLOAT32, "float32", "<f4", 4}, {MODELPORT_UINT8, "uint8", "|u1", 1},
    {MODELPORT_INT8, "int8", "|i1", 1},       {MODELPORT_UINT16, "uint16", "<u2", 2},
    {MODELPORT_INT16, "int16", "<i2", 2},     {MODELPORT_INT32, "int32", "<i4", 4},
    {MODELPORT_INT64, "int64", "<i8", 8},     {MODELPORT_STRING, "str", "|O", sizeof(char*)},
    {MODELPORT_BOOL, "bool", "|b1", 1},       {MODELPORT_FLOAT16, "float16", "<f2", 2},
    {MODELPORT_FLOAT64, "float64", "<f8", 8}, {MODELPORT_UINT32, "uint32", "<u4", 4},
    {MODELPORT_UINT64, "uint64", "<u8", 8},   {MODELPORT_BFLOAT16, "bfloat16", "<V2", 2},
};
constexpr size_t no_dim = SIZE_MAX;

const modelport_tensor* find(const modelport_tensor* tensors, size_t count, size_t guess, const std::string& name) {
  if (guess < count && name == tensors[guess].name) return &tensors[guess];
  const auto* end = tensors + count;
  const auto* found = std::find_if(tensors, end, [&](const modelport_tensor& item) { return name == item.name; });
  return found == end ? nullptr : found;
}

bool in_range(const modelport_axis& axis, int64_t size) {
  return size >= axis.min && (axis.max < 0 || size <= axis.max) && size % axis.multiple == 0;
}

}  // namespace

const DType* find_dtype(modelport_dtype code) {
  const auto* found =
      std::find_if(std::begin(dtypes), std::end(dtypes), [&](const DType& item) { return item.code == code; });
  return found == std::end(dtypes) ? nullptr : found;
}

const DType* find_dtype(const std::string& name) {
  const auto* found =
      std::find_if(std::begin(dtypes), std::end(dtypes), [&](const DType& item) { return name == item.name; });
  return found == std::end(dtypes) ? nullptr : found;
}

std::string TensorSpec::text() const {
  std::vector<std::string> parts;
  for (const modelport_axis& axis : axes) parts.push_back(axis.size < 0 ? axis.name : std::to_string(axis.size));
  return name + ": " + dtype->name + "[" + (ranked ? joined(parts) : "?") + "]";
}

modelport_spec TensorSpec::view() const {
  static constexpr modelport_axis no_axes{};
  const modelport_axis* first = axes.empty() ? &no_axes : axes.data();
  return {name.c_str(), dtype->code, ranked ? first : nullptr, axes.size()};
}

Signature::Signature(std::vector<TensorSpec> inputs, std::vector<TensorSpec> outputs,
                     const std::map<std::string, Dim>& ranges)
    : inputs_(std::move(inputs)), outputs_(std::move(outputs)) {
  std::map<std::string, size_t> known;
  for (auto* specs : {&inputs_, &outputs_}) {
    for (TensorSpec& spec : *specs) {
      for (size_t place = 0; place < spec.axes.size(); ++place) {
        modelport_axis& axis = spec.axes[place];
        axis.name = spec.axis_names[place].c_str();
        axis.min = axis.size < 0 ? 0 : axis.size;
        axis.max = axis.size;
        spec.dims.push_back(no_dim);
        if (axis.size >= 0) continue;
        spec.dims.back() = known.emplace(spec.axis_names[place], known.size()).first->second;
        const auto range = ranges.find(spec.axis_names[place]);
        if (range == ranges.end()) continue;
        axis.min = range->second.min;
        axis.max = range->second.max;
        axis.multiple = range->second.multiple;
      }
    }
  }
  dim_count_ = known.size();
}

void Signature::examine(const modelport_tensor* tensors, size_t count) const {
  if (fits(tensors, count)) return;
  explain_names(tensors, count);
  std::map<std::string, std::pair<int64_t, std::string>> sizes;
  for (size_t i = 0; i < inputs_.size(); ++i) explain(inputs_[i], *find(tensors, count, i, inputs_[i].name), sizes);
}

bool Signature::fits(const modelport_tensor* tensors, size_t count) const {
  if (count != inputs_.size()) return false;
  constexpr size_t few = 16;
  int64_t few_sizes[few];
  std::vector<int64_t> many_sizes(dim_count_ > few ? dim_count_ : 0);
  int64_t* sizes = dim_count_ > few ? many_sizes.data() : few_sizes;
  std::fill_n(sizes, dim_count_, -1);
  for (size_t i = 0; i < count; ++i) {
    const TensorSpec& spec = inputs_[i];
    const modelport_tensor* tensor = find(tensors, count, i, spec.name);
    if (!tensor || tensor->dtype != spec.dtype->code) return false;
    if (spec.ranked && tensor->rank != spec.axes.size()) return false;
    bool empty = false;
    for (size_t axis = 0; axis < tensor->rank; ++axis) {
      const int64_t size = tensor->shape[axis];
      if (size < 0) return false;
      if (size == 0) empty = true;
      if (!spec.ranked) continue;
      if (!in_range(spec.axes[axis], size)) return false;
      if (spec.dims[axis] == no_dim) continue;
      int64_t& first = sizes[spec.dims[axis]];
      if (first < 0) first = size;
      if (first != size) return false;
    }
    if (!tensor->data && !empty) return false;
  }
  return true;
}

void Signature::explain_names(const modelport_tensor* tensors, size_t count) const {
  std::vector<std::string> missing, unknown, problems;
  for (const TensorSpec& spec : inputs_)
    if (!find(tensors, count, SIZE_MAX, spec.name)) missing.push_back(spec.name);
  for (size_t i = 0; i < count; ++i) {
    const std::string name = tensors[i].name;
    if (find(tensors, i, SIZE_MAX, name))
      throw run_error("the input " + quoted(name) + " is given twice", {{}, {}, "give it once"});
    const auto known = [&](const TensorSpec& spec) { return spec.name == name; };
    if (std::none_of(inputs_.begin(), inputs_.end(), known)) unknown.push_back(name);
  }
  if (!missing.empty()) problems.push_back("missing: " + joined(missing));
  if (!unknown.empty()) problems.push_back("unknown: " + joined(unknown));
  if (problems.empty()) return;
  throw run_error("the inputs do not have the model's names (" + joined(problems, "; ") + ")",
                  {{}, {}, "the model takes " + describe_inputs()});
}

void Signature::explain(const TensorSpec& spec, const modelport_tensor& tensor,
                        std::map<std::string, std::pair<int64_t, std::string>>& sizes) const {
  const std::string name = quoted(spec.name);
  if (tensor.dtype != spec.dtype->code) {
    const DType* came = find_dtype(tensor.dtype);
    throw run_error("input " + name + " has dtype " + (came ? came->short_name : std::to_string(tensor.dtype)) +
                        ", expected " + spec.dtype->name,
                    {{}, {}, "convert it: array.astype('" + std::string(spec.dtype->name) + "')"});
  }
  if (!tensor.data && std::count(tensor.shape, tensor.shape + tensor.rank, 0) == 0)
    throw run_error("input " + name + " has no data", {{}, "its pointer is null", "pass " + spec.text()});
  const std::string came =
      "input " + name + " has shape " + listed(tensor.shape, tensor.rank) + ", expected " + spec.text();
  if (spec.ranked && tensor.rank != spec.axes.size())
    throw run_error(came,
                    {{}, "rank " + std::to_string(tensor.rank) + " is not " + std::to_string(spec.axes.size()), {}});
  for (size_t place = 0; place < tensor.rank; ++place) {
    const int64_t size = tensor.shape[place];
    const std::string is = "axis " + std::to_string(place) + " is " + std::to_string(size);
    if (size < 0) throw run_error(came, {{}, is + ", which no size can be", {}});
    if (!spec.ranked) continue;
    const modelport_axis& axis = spec.axes[place];
    if (axis.size >= 0) {
      if (size != axis.size) throw run_error(came, {{}, is + ", not " + std::to_string(axis.size), {}});
      continue;
    }
    const std::string dim = axis.name;
    if (!in_range(axis, size)) {
      const std::string range = dim + " in " + std::to_string(axis.min) + ".." +
                                (axis.max < 0 ? "" : std::to_string(axis.max)) +
                                (axis.multiple == 1 ? "" : ", a multiple of " + std::to_string(axis.multiple));
      throw run_error(came, {{}, is + ", outside the range " + range, {}});
    }
    const std::string here = spec.name + "[" + std::to_string(place) + "]";
    const auto [first, place_of_first] = sizes.emplace(dim, std::pair(size, here)).first->second;
    if (size != first)
      throw run_error(came,
                      {{}, is + ", but " + quoted(dim) + " is " + std::to_string(first) + " in " + place_of_first, {}});
  }
}

std::string Signature::describe_inputs() const {
  std::vector<std::string> texts;
  for (const TensorSpec& spec : inputs_) texts.push_back(spec.text());
  return texts.empty() ? "no inputs" : joined(texts, "; ");
}

std::vector<size_t> Signature::requested(const char* const* names, size_t count) const {
  std::vector<size_t> places;
  std::vector<std::string> unknown, known;
  if (!names) {
    for (size_t i = 0; i < outputs_.size(); ++i) places.push_back(i);
    return places;
  }
  for (size_t i = 0; i < count; ++i) {
    const auto found =
        std::find_if(outputs_.begin(), outputs_.end(), [&](const TensorSpec& spec) { return spec.name == names[i]; });
    if (found == outputs_.end()) unknown.push_back(quoted(names[i]));
    else places.push_back(static_cast<size_t>(found - outputs_.begin()));
  }
  if (unknown.empty()) return places;
  for (const TensorSpec& spec : outputs_) known.push_back(spec.name);
  throw run_error("the model has no output " + joined(unknown), {{}, {}, "it gives " + joined(known)});
}

size_t element_count(const modelport_tensor& tensor) {
  size_t count = 1;
  for (size_t axis = 0; axis < tensor.rank; ++axis)
    if (__builtin_mul_overflow(count, static_cast<size_t>(tensor.shape[axis]), &count) || count > SIZE_MAX / 16)
      throw run_error("the tensor " + quoted(tensor.name) + " of shape " + listed(tensor.shape, tensor.rank) +
                      " is too large for any memory");
  return count;
}

}  // namespace modelport::runtime
