#include <modelport/kernel.h>

template <class T>
void blend(Context& ctx, In<T> a, In<T> b, Out<T> output, double share) {
  check(a.shape() == b.shape(), "a has shape ", a.shape(), ", b has shape ", b.shape());
  const T *x = a.data(), *y = b.data();
  T* to = output.alloc(a.shape());
  const T by = static_cast<T>(share);
  ctx.parallel_for(a.size(), 1 << 12, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = x[i] * y[i] * by + y[i];
  });
}
