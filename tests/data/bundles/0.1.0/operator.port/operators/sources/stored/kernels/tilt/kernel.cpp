#include <modelport/kernel.h>

template <class T>
void tilt(Context& ctx, In<T> x, Out<T> y, double slope) {
  const T* from = x.data();
  T* to = y.alloc(x.shape());
  const T by = static_cast<T>(slope);
  ctx.parallel_for(x.size(), 1 << 12, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = from[i] > 0 ? from[i] : by * from[i];
  });
}
