// Types of TensorRT and of kernels.
#pragma once

#include <NvInferRuntime.h>

#include "modelport/kernel.h"

namespace modelport::trt {

// DataType::none where kernels do not have the type, or plugins must not.
inline DataType from_tensorrt(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kFLOAT: return DataType::float32;
    case nvinfer1::DataType::kHALF: return DataType::float16;
    case nvinfer1::DataType::kBF16: return DataType::bfloat16;
    case nvinfer1::DataType::kINT8: return DataType::int8;
    case nvinfer1::DataType::kINT32: return DataType::int32;
    case nvinfer1::DataType::kINT64: return DataType::int64;
    default: return DataType::none;
  }
}

inline nvinfer1::DataType to_tensorrt(DataType type) {
  switch (type) {
    case DataType::float32: return nvinfer1::DataType::kFLOAT;
    case DataType::float16: return nvinfer1::DataType::kHALF;
    case DataType::bfloat16: return nvinfer1::DataType::kBF16;
    case DataType::int8: return nvinfer1::DataType::kINT8;
    case DataType::int32: return nvinfer1::DataType::kINT32;
    case DataType::int64: return nvinfer1::DataType::kINT64;
    default: throw Error("TensorRT's plugins have no tensors of this type");
  }
}

// Whether plugins have tensors of a type.
inline bool in_tensorrt(DataType type) {
  return type == DataType::float32 || type == DataType::float16 || type == DataType::bfloat16 ||
         type == DataType::int8 || type == DataType::int32 || type == DataType::int64;
}

inline int64_t bytes_of(DataType type) {
  switch (type) {
    case DataType::int8: return 1;
    case DataType::float16:
    case DataType::bfloat16: return 2;
    case DataType::int64: return 8;
    default: return 4;
  }
}

}  // namespace modelport::trt
