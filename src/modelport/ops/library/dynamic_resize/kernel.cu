#include <modelport/kernel.h>

#include <cmath>
#include <cstdint>

namespace {

struct Sizes {
  int64_t planes, height, width, out_height, out_width;
};

int64_t output_size(int64_t size, float scale) {
  check(std::isfinite(scale) && scale > 0, "a scale is ", scale, "; it must be above 0");
  const double wanted = static_cast<double>(size) * static_cast<double>(scale);
  check(wanted >= 1, "a scale of ", scale, " leaves nothing of a size of ", size);
  check(wanted < INT32_MAX, "a scale of ", scale, " makes ", size, " too large");
  return static_cast<int64_t>(wanted);
}

template <class A>
A step_of(int64_t size, int64_t outputs, float scale, bool align_corners) {
  if (!align_corners) return static_cast<A>(1.0 / static_cast<double>(scale));
  return outputs > 1 ? static_cast<A>(size - 1) / static_cast<A>(outputs - 1) : A(0);
}

template <class A>
__device__ A near_weight(A d) {
  return (A(1.25) * d - A(2.25)) * d * d + A(1);
}
template <class A>
__device__ A far_weight(A d) {
  return ((A(-0.75) * d + A(3.75)) * d - A(6)) * d + A(3);
}

__device__ int64_t clamp(int64_t index, int64_t size) { return index < 0 ? 0 : index >= size ? size - 1 : index; }

// Where one place of an axis looks at the input: elements and their weights.
template <int taps, class A>
struct Look {
  int64_t index[taps];
  A weight[taps];

  __device__ Look(int64_t place, int64_t size, A step, bool align_corners) {
    A source = static_cast<A>(place) * step;
    if (taps > 1 && !align_corners) source = (static_cast<A>(place) + A(0.5)) * step - A(0.5);
    if (taps == 2 && source < 0) source = 0;
    const A low = floor(source);
    const A part = source - low;
    const int64_t first = static_cast<int64_t>(low) - (taps == 4);
    for (int tap = 0; tap < taps; ++tap) index[tap] = clamp(first + tap, size);
    if constexpr (taps == 1) {
      weight[0] = A(1);
    } else if constexpr (taps == 2) {
      weight[0] = A(1) - part;
      weight[1] = part;
    } else {
      weight[0] = far_weight(part + A(1));
      weight[1] = near_weight(part);
      weight[2] = near_weight(A(1) - part);
      weight[3] = far_weight(A(2) - part);
    }
  }
};

template <int taps, class T, class A>
__global__ void resize(const T* x, T* y, Sizes s, A down, A across, bool align_corners) {
  const int64_t count = s.planes * s.out_height * s.out_width;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count; i += stride) {
    const Look<taps, A> columns(i % s.out_width, s.width, across, align_corners);
    const Look<taps, A> rows(i / s.out_width % s.out_height, s.height, down, align_corners);
    const T* plane = x + i / (s.out_width * s.out_height) * s.height * s.width;
    if constexpr (taps == 1) {
      y[i] = plane[rows.index[0] * s.width + columns.index[0]];
    } else {
      A sum = 0;
      for (int v = 0; v < taps; ++v) {
        const T* row = plane + rows.index[v] * s.width;
        A part = 0;
        for (int u = 0; u < taps; ++u) part += columns.weight[u] * static_cast<A>(row[columns.index[u]]);
        sum += rows.weight[v] * part;
      }
      y[i] = static_cast<T>(sum);
    }
  }
}

}  // namespace

template <class T>
void dynamic_resize(Context& ctx, In<T, 4> x, HostIn<float, 1> scales, Out<T> output, std::string_view mode,
                    bool align_corners, double) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const int taps = mode == "nearest" ? 1 : mode == "bilinear" ? 2 : 4;
  check(taps < 4 || mode == "bicubic", "the mode is '", mode, "'; it is bicubic, bilinear or nearest");
  check(!(taps == 1 && align_corners), "align_corners is not for the mode nearest");
  const int64_t count = scales.size();
  check(count == 2 || count == 4, "there are ", count, " scales; there must be 2 or 4");
  check(count == 2 || (scales[0] == 1 && scales[1] == 1), "the scales of batch and channels are ", scales[0], " and ",
        scales[1], "; they must be 1");
  const float down = scales[count - 2], across = scales[count - 1];
  const Shape made{x.dim(0), x.dim(1), output_size(x.dim(2), down), output_size(x.dim(3), across)};
  T* y = output.alloc(made);
  const Sizes s{x.dim(0) * x.dim(1), x.dim(2), x.dim(3), made[2], made[3]};
  const A step_down = step_of<A>(s.height, s.out_height, down, align_corners);
  const A step_across = step_of<A>(s.width, s.out_width, across, align_corners);
  const auto kernel = taps == 1 ? resize<1, T, A> : taps == 2 ? resize<2, T, A> : resize<4, T, A>;
  ctx.launch(kernel, made.count(), x.data(), y, s, step_down, step_across, align_corners);
}
