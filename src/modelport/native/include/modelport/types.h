// Element types of tensors: their ONNX codes, and the two 16-bit floats as C++ types.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#define MODELPORT_BOTH __host__ __device__
#else
#define MODELPORT_BOTH
#endif

namespace modelport {

// The values are ONNX's own (TensorProto.DataType).
enum class DataType : int32_t {
  none = 0,
  float32 = 1,
  uint8 = 2,
  int8 = 3,
  int32 = 6,
  int64 = 7,
  boolean = 9,
  float16 = 10,
  float64 = 11,
  bfloat16 = 16,
};

// IEEE 754 binary16, for storage; compute in float.
struct float16 {
  uint16_t bits = 0;

  float16() = default;
  MODELPORT_BOTH float16(float value) : bits(encode(value)) {}
  MODELPORT_BOTH operator float() const { return decode(bits); }

 private:
#if defined(__CUDACC__)
  static MODELPORT_BOTH uint16_t encode(float value) {
    const __half_raw raw = __float2half_rn(value);
    return raw.x;
  }
  static MODELPORT_BOTH float decode(uint16_t bits) {
    __half_raw raw;
    raw.x = bits;
    return __half2float(__half(raw));
  }
#else
  static uint16_t encode(float value) {
    const _Float16 narrow = static_cast<_Float16>(value);
    uint16_t bits;
    std::memcpy(&bits, &narrow, sizeof bits);
    return bits;
  }
  static float decode(uint16_t bits) {
    _Float16 narrow;
    std::memcpy(&narrow, &bits, sizeof bits);
    return static_cast<float>(narrow);
  }
#endif
};

// The upper half of a float, for storage; compute in float.
struct bfloat16 {
  uint16_t bits = 0;

  bfloat16() = default;
  MODELPORT_BOTH bfloat16(float value) : bits(encode(value)) {}
  MODELPORT_BOTH operator float() const {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
  }

 private:
  static MODELPORT_BOTH uint16_t encode(float value) {
    uint32_t wide;
    memcpy(&wide, &value, sizeof wide);
    if ((wide & 0x7fffffffu) > 0x7f800000u) return 0x7fc0;  // NaN stays NaN
    return static_cast<uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16);  // ties to even
  }
};

template <class T>
struct TypeOf;  // a tensor's elements are one of the types below
// clang-format off
template <> struct TypeOf<float> { static constexpr DataType value = DataType::float32; };
template <> struct TypeOf<double> { static constexpr DataType value = DataType::float64; };
template <> struct TypeOf<float16> { static constexpr DataType value = DataType::float16; };
template <> struct TypeOf<bfloat16> { static constexpr DataType value = DataType::bfloat16; };
template <> struct TypeOf<int32_t> { static constexpr DataType value = DataType::int32; };
template <> struct TypeOf<int64_t> { static constexpr DataType value = DataType::int64; };
template <> struct TypeOf<int8_t> { static constexpr DataType value = DataType::int8; };
template <> struct TypeOf<uint8_t> { static constexpr DataType value = DataType::uint8; };
template <> struct TypeOf<bool> { static constexpr DataType value = DataType::boolean; };
// clang-format on

}  // namespace modelport
