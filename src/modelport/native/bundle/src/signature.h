// What a model takes and gives, and whether inputs are that.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "modelport/modelport.h"

namespace modelport::runtime {

struct DType {
  modelport_dtype code;
  const char* name;   // NumPy's name
  const char* short_name;  // NumPy's text of kind and size, as in its errors
  size_t bytes;       // of an element; of a pointer for strings
};

// Null where there is no such type.
const DType* find_dtype(modelport_dtype code);
const DType* find_dtype(const std::string& name);

struct Dim {
  int64_t min = 1;
  int64_t max = -1;  // -1: no bound
  int64_t multiple = 1;
};

struct TensorSpec {
  std::string name;
  const DType* dtype = nullptr;
  bool ranked = true;
  std::vector<modelport_axis> axes;   // names point into `axis_names`
  std::vector<std::string> axis_names;
  std::vector<size_t> dims;           // of each axis: which of the signature's dimensions

  std::string text() const;
  modelport_spec view() const;
};

class Signature {
 public:
  Signature(Signature&&) = default;  // names are pointed at: no copies
  // Dimensions that no entry of `ranges` names have no bound.
  Signature(std::vector<TensorSpec> inputs, std::vector<TensorSpec> outputs, const std::map<std::string, Dim>& ranges);

  // Throws a run error that says what was expected, and what came instead.
  void examine(const modelport_tensor* tensors, size_t count) const;
  // Positions of outputs by name; all of them where there are no names.
  std::vector<size_t> requested(const char* const* names, size_t count) const;

  const std::vector<TensorSpec>& inputs() const { return inputs_; }
  const std::vector<TensorSpec>& outputs() const { return outputs_; }

 private:
  bool fits(const modelport_tensor* tensors, size_t count) const;
  void explain_names(const modelport_tensor* tensors, size_t count) const;
  void explain(const TensorSpec& spec, const modelport_tensor& tensor,
               std::map<std::string, std::pair<int64_t, std::string>>& sizes) const;
  std::string describe_inputs() const;

  std::vector<TensorSpec> inputs_, outputs_;
  size_t dim_count_ = 0;
};

// Elements of a tensor whose sizes are none of them negative; throws a run error on overflow.
size_t element_count(const modelport_tensor& tensor);

}  // namespace modelport::runtime
