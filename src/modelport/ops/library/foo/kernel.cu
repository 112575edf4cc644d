#include <modelport/kernel.h>

namespace {

__global__ void add(const float* x, const float* y, float* sum, int64_t count) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count; i += step)
    sum[i] = x[i] + y[i];
}

}  // namespace

void foo(Context& ctx, In<float> a, In<float> b, Out<float> output) {
  check(a.shape() == b.shape(), "a has shape ", a.shape(), ", b has shape ", b.shape());
  float* sum = output.alloc(a.shape());
  ctx.launch(add, a.size(), a.data(), b.data(), sum, a.size());
}
