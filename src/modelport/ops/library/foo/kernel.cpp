#include <modelport/kernel.h>

void foo(Context& ctx, In<float> a, In<float> b, Out<float> output) {
  check(a.shape() == b.shape(), "a has shape ", a.shape(), ", b has shape ", b.shape());
  const float *x = a.data(), *y = b.data();
  float* sum = output.alloc(a.shape());
  ctx.parallel_for(a.size(), 1 << 15, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum[i] = x[i] + y[i];
  });
}
