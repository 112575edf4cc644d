#include <modelport/kernel.h>

#include <cmath>

namespace {

enum class Padding { zeros, border, reflection };

template <class A>
struct Axis {
  int64_t size;
  Padding padding;
  bool align_corners;

  __device__ A place(A coordinate) const {
    const A extent = static_cast<A>(size);
    return align_corners ? (coordinate + A(1)) * ((extent - A(1)) / A(2))
                         : (coordinate + A(1)) * (extent / A(2)) - A(0.5);
  }

  __device__ A inside(A at) const {
    if (padding == Padding::zeros) return at;
    if (padding == Padding::reflection) {
      const A low = align_corners ? A(0) : A(-0.5);
      const A span = align_corners ? static_cast<A>(size - 1) : static_cast<A>(size);
      const A from = fabs(at - low);
      const A turned = span > 0 ? from - A(2) * span * floor(from / (A(2) * span)) : A(0);  // there and back again
      at = (turned > span ? A(2) * span - turned : turned) + low;
    }
    return clamp(at);
  }

  __device__ A clamp(A at) const {
    const A last = static_cast<A>(size - 1);
    at = at > 0 ? at : A(0);  // a NaN, too
    return at < last ? at : last;
  }
};

template <class A>
__device__ A near_weight(A d) {
  return (A(1.25) * d - A(2.25)) * d * d + A(1);
}
template <class A>
__device__ A far_weight(A d) {
  return ((A(-0.75) * d + A(3.75)) * d - A(6)) * d + A(3);
}

// The elements that a place looks at along one axis, and their weights.
template <int taps, class A>
struct Look {
  int64_t index[taps];
  A weight[taps];

  __device__ void set(const Axis<A>& axis, A coordinate) {
    A at = axis.place(coordinate), found[taps];
    if constexpr (taps == 1) {
      found[0] = rint(axis.inside(at));
      weight[0] = A(1);
    } else if constexpr (taps == 2) {
      at = axis.inside(at);
      found[0] = floor(at);
      found[1] = found[0] + A(1);
      weight[1] = at - found[0];
      weight[0] = A(1) - weight[1];
    } else {
      const A first = floor(at), part = at - first;
      for (int tap = 0; tap < taps; ++tap) found[tap] = axis.inside(first + static_cast<A>(tap - 1));
      weight[0] = far_weight(part + A(1));
      weight[1] = near_weight(part);
      weight[2] = near_weight(A(1) - part);
      weight[3] = far_weight(A(2) - part);
    }
    for (int tap = 0; tap < taps; ++tap) {
      const bool seen = found[tap] >= 0 && found[tap] <= static_cast<A>(axis.size - 1);
      weight[tap] = seen ? weight[tap] : A(0);
      index[tap] = static_cast<int64_t>(axis.clamp(found[tap]));
    }
  }
};

struct Sizes {
  int64_t images, channels, plane, points;
  int64_t size[3];  // last axis first, as in the grid
  Padding padding;
  bool align_corners;
};

// A thread for each point; it goes through the channels.
template <int axes, int taps, class T, class A>
__global__ void sample(const T* x, const T* grid, T* y, Sizes s) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < s.images * s.points; i += step) {
    const int64_t image = i / s.points, point = i % s.points;
    Look<taps, A> looks[axes];
    for (int axis = 0; axis < axes; ++axis)
      looks[axis].set({s.size[axis], s.padding, s.align_corners}, static_cast<A>(grid[i * axes + axis]));
    for (int64_t c = image * s.channels; c < (image + 1) * s.channels; ++c) {
      const T* plane = x + c * s.plane;
      A sum = 0;
      for (int l = 0; l < (axes == 3 ? taps : 1); ++l) {
        const T* slice = axes == 3 ? plane + looks[axes - 1].index[l] * s.size[0] * s.size[1] : plane;
        const A share = axes == 3 ? looks[axes - 1].weight[l] : A(1);
        for (int j = 0; j < taps; ++j) {
          const T* row = slice + looks[1].index[j] * s.size[0];
          A part = 0;
          for (int k = 0; k < taps; ++k) part += looks[0].weight[k] * static_cast<A>(row[looks[0].index[k]]);
          sum += share * looks[1].weight[j] * part;
        }
      }
      y[c * s.points + point] = static_cast<T>(sum);
    }
  }
}

}  // namespace

template <class T>
void grid_sample(Context& ctx, In<T> x, In<T> grid, Out<T> output, std::string_view mode, std::string_view padding_mode,
                 bool align_corners) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  check(x.rank() == 4 || x.rank() == 5, "x has shape ", x.shape(), "; it must have rank 4 or 5");
  const size_t axes = x.rank() - 2;
  check(grid.rank() == x.rank() && grid.dim(axes + 1) == static_cast<int64_t>(axes), "x has shape ", x.shape(),
        ", the grid ", grid.shape(), "; its last dimension must be ", axes);
  check(x.dim(0) == grid.dim(0), "there are ", x.dim(0), " images and ", grid.dim(0), " grids");
  const int taps = mode == "nearest" ? 1 : mode == "bilinear" ? 2 : 4;
  check(taps < 4 || mode == "bicubic", "the mode is '", mode, "'; it is bilinear, nearest or bicubic");
  check(taps < 4 || axes == 2, "the mode bicubic is for images, not for volumes");
  Sizes s{x.dim(0), x.dim(1), 1, 1, {}, Padding::reflection, align_corners};
  if (padding_mode == "zeros") s.padding = Padding::zeros;
  else if (padding_mode == "border") s.padding = Padding::border;
  else
    check(padding_mode == "reflection", "the padding_mode is '", padding_mode, "'; it is zeros, border or reflection");
  Shape made = x.shape();
  for (size_t axis = 0; axis < axes; ++axis) {
    made[2 + axis] = grid.dim(1 + axis);
    s.size[axes - 1 - axis] = x.dim(2 + axis);
    s.plane *= x.dim(2 + axis);
    s.points *= grid.dim(1 + axis);
    check(x.dim(2 + axis) > 0, "x has shape ", x.shape(), "; there is nothing to look at");
  }
  T* y = output.alloc(made);
  const auto of_images = taps == 1 ? sample<2, 1, T, A> : taps == 2 ? sample<2, 2, T, A> : sample<2, 4, T, A>;
  const auto of_volumes = taps == 1 ? sample<3, 1, T, A> : sample<3, 2, T, A>;
  ctx.launch(axes == 2 ? of_images : of_volumes, s.images * s.points, x.data(), grid.data(), y, s);
}
