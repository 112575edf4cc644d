#include <modelport/kernel.h>

template <class T>
void hsigmoid(Context& ctx, In<T> x, Out<T> output) {
  using S = std::conditional_t<(sizeof(T) < 4), float, T>;
  const T* from = x.data();
  T* to = output.alloc(x.shape());
  ctx.parallel_for(x.size(), 1 << 15, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const S value = static_cast<S>(from[i]), moved = value + 3;
      const S clipped = moved < 0 ? S{0} : moved > 6 ? S{6} : moved;  // NaN stays NaN
      to[i] = static_cast<T>(clipped * (S{1} / 6));
    }
  });
}
