#include <modelport/kernel.h>

template <class T>
void my_add(Context& ctx, In<T> a, In<T> b, Out<T> output, double alpha, double beta) {
  check(a.shape() == b.shape(), "a has shape ", a.shape(), ", b has shape ", b.shape());
  const T *x = a.data(), *y = b.data();
  T* sum = output.alloc(a.shape());
  const auto first = static_cast<T>(alpha), second = static_cast<T>(beta);
  ctx.parallel_for(a.size(), 1 << 15, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum[i] = first * x[i] + second * y[i];
  });
}
