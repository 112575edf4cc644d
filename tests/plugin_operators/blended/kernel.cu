#include <modelport/kernel.h>

namespace {

template <class T>
__global__ void blend(const T* x, const T* y, T* to, float share, int64_t rows, int64_t columns, int64_t wide,
                      int64_t count) {
  const int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (i >= count) return;
  const int64_t from = i / wide % rows * columns + i % wide % columns;
  to[i] = static_cast<T>(static_cast<float>(x[from]) * share + static_cast<float>(y[from]) * (1 - share));
}

}  // namespace

template <class T>
void blended(Context& ctx, In<T, 2> x, In<T, 2> y, Out<T> output, double share, Span<int64_t> sizes, Span<double>, bool,
             std::string_view) {
  const int64_t rows = x.dim(0), columns = x.dim(1), wide = columns * sizes[1], count = rows * sizes[0] * wide;
  ctx.launch(blend<T>, count, x.data(), y.data(), output.alloc({rows * sizes[0], wide}), static_cast<float>(share),
             rows, columns, wide, count);
}
