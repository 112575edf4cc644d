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
  const int64_t count = a.size();
  if (count == 0) return;
  const int64_t blocks = (count + 255) / 256;
  add<<<static_cast<unsigned>(blocks < 65536 ? blocks : 65536), 256, 0, ctx.stream()>>>(a.data(), b.data(),
                                                                                        sum, count);
  check(cudaGetLastError() == cudaSuccess, "foo could not be launched");
}
