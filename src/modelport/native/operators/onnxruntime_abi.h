// The part of ONNX Runtime's C ABI that operators need, by its documented layout: the API is an
// array of functions that only ever grows. No header of ONNX Runtime is used, so that one binary
// serves every version from 1.17 on.
#pragma once

#include <cstddef>
#include <cstdint>

namespace modelport::ort {

constexpr uint32_t api_version = 17;

struct Status;
struct Value;
struct TensorInfo;
struct KernelInfo;
struct KernelContext;
struct SessionOptions;
struct Domain;

struct ApiBase {
  const void* (*get_api)(uint32_t version);
  const char* (*version)();
};

enum Code : int32_t { fail = 1, invalid_argument = 2, runtime_exception = 6 };

enum Slot : size_t {
  CreateStatus = 0,
  CreateCustomOpDomain = 26,
  CustomOpDomain_Add = 27,
  AddCustomOpDomain = 28,
  GetTensorMutableData = 51,
  GetTensorElementType = 60,
  GetDimensionsCount = 61,
  GetDimensions = 62,
  GetTensorTypeAndShape = 65,
  KernelInfoGetAttribute_float = 85,
  KernelInfoGetAttribute_int64 = 86,
  KernelInfoGetAttribute_string = 87,
  KernelContext_GetInputCount = 88,
  KernelContext_GetInput = 90,
  KernelContext_GetOutput = 91,
  ReleaseStatus = 93,
  ReleaseTensorTypeAndShapeInfo = 99,
  KernelInfoGetAttributeArray_float = 162,
  KernelInfoGetAttributeArray_int64 = 163,
  KernelContext_GetGPUComputeStream = 193,
  KernelInfo_GetNodeName = 244,
  KernelContext_ParallelFor = 274,
};

class Api {
 public:
  explicit Api(const void* table) : table_(static_cast<void* const*>(table)) {}

  template <class Result = Status*, class... Arguments>
  Result call(Slot slot, Arguments... arguments) const {
    return reinterpret_cast<Result (*)(Arguments...)>(table_[slot])(arguments...);
  }
  void release(Status* status) const { call<void>(ReleaseStatus, status); }
  // Whether a call went well; the reason why not is dropped.
  bool holds(Status* status) const {
    if (status) release(status);
    return !status;
  }

 private:
  void* const* table_;
};

// What a kernel is to ONNX Runtime. Version 17 has kernels that return a Status.
struct CustomOp {
  uint32_t version;
  void* create_kernel;
  const char* (*name)(const CustomOp*);
  const char* (*provider)(const CustomOp*);
  int32_t (*input_type)(const CustomOp*, size_t);
  size_t (*input_count)(const CustomOp*);
  int32_t (*output_type)(const CustomOp*, size_t);
  size_t (*output_count)(const CustomOp*);
  void* compute;
  void (*destroy)(void*);
  int32_t (*input_characteristic)(const CustomOp*, size_t);
  int32_t (*output_characteristic)(const CustomOp*, size_t);
  int32_t (*input_memory)(const CustomOp*, size_t);
  int32_t (*variadic_input_least)(const CustomOp*);
  int32_t (*variadic_input_homogeneous)(const CustomOp*);
  int32_t (*variadic_output_least)(const CustomOp*);
  int32_t (*variadic_output_homogeneous)(const CustomOp*);
  Status* (*create_kernel_status)(const CustomOp*, const void*, const KernelInfo*, void**);
  Status* (*compute_status)(void*, KernelContext*);
  void* infer_shapes;
  int32_t (*start_version)(const CustomOp*);
  int32_t (*end_version)(const CustomOp*);
  void* may_inplace;
  void* release_may_inplace;
  void* alias_map;
  void* release_alias_map;
};
static_assert(sizeof(void*) == 8 && sizeof(CustomOp) == 208, "the layout of a 64-bit platform");
static_assert(offsetof(CustomOp, create_kernel_status) == 136);
static_assert(offsetof(CustomOp, end_version) == 168);

}  // namespace modelport::ort
