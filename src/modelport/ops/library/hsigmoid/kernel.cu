#include <modelport/kernel.h>

namespace {

// Runs in every thread of a grid; an engine of TensorRT can keep it compiled.
template <class T>
__device__ void hsigmoid_ahead(const T* from, int64_t count, T* to) {
  using S = std::conditional_t<(sizeof(T) < 4), float, T>;
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count; i += step) {
    const S value = static_cast<S>(from[i]), moved = value + 3;
    const S clipped = moved < 0 ? S{0} : moved > 6 ? S{6} : moved;  // NaN stays NaN
    to[i] = static_cast<T>(clipped * (S{1} / 6));
  }
}

template <class T>
__global__ void compute(const T* from, int64_t count, T* to) {
  hsigmoid_ahead(from, count, to);
}

}  // namespace

template <class T>
void hsigmoid(Context& ctx, In<T> x, Out<T> output) {
  T* to = output.alloc(x.shape());
  ctx.launch(compute<T>, x.size(), x.data(), x.size(), to);
}
