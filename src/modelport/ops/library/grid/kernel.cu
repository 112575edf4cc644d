// The voxel that each point of a cloud lies in. The sizes of voxels are not looked at here: that
// would stop the stream. Where one is not above 0, the numbers mean nothing.
#include <modelport/kernel.h>

#include <cmath>
#include <cstdint>

namespace {

constexpr int most_axes = 16;
constexpr int threads = 256;

template <class T>
struct Bounds {
  T low[most_axes], high[most_axes];
  unsigned long long strides[most_axes];
};

template <class T>
__device__ unsigned long long whole(T value) {
  const T beyond = static_cast<T>(9223372036854775808.0);
  const bool fits = value > -beyond && value < beyond;
  return static_cast<unsigned long long>(fits ? static_cast<long long>(value) : INT64_MIN);
}

// One block for each axis.
template <class T>
__global__ void find_bounds(const T* pos, const T* start, const T* end, int64_t points, int64_t axes,
                            Bounds<T>* bounds) {
  __shared__ T lows[threads], highs[threads];
  const int64_t axis = blockIdx.x;
  T low = pos[axis], high = low;
  for (int64_t i = threadIdx.x; i < points; i += threads) {
    const T at = pos[i * axes + axis];
    low = at < low || at != at ? at : low;
    high = at > high || at != at ? at : high;
  }
  lows[threadIdx.x] = low;
  highs[threadIdx.x] = high;
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    __syncthreads();
    if (threadIdx.x < half) {
      const T l = lows[threadIdx.x + half], h = highs[threadIdx.x + half];
      if (l < lows[threadIdx.x] || l != l) lows[threadIdx.x] = l;
      if (h > highs[threadIdx.x] || h != h) highs[threadIdx.x] = h;
    }
  }
  if (threadIdx.x == 0) {
    bounds->low[axis] = start ? start[axis] : lows[0];
    bounds->high[axis] = end ? end[axis] : highs[0];
  }
}

template <class T>
__global__ void find_strides(const T* size, int64_t axes, Bounds<T>* bounds) {
  unsigned long long stride = 1;
  for (int64_t axis = 0; axis < axes; ++axis) {
    bounds->strides[axis] = stride;
    stride *= whole((bounds->high[axis] - bounds->low[axis]) / size[axis]) + 1;
  }
}

template <class T>
__global__ void number(const T* pos, const T* size, const Bounds<T>* bounds, int64_t points, int64_t axes,
                       int64_t* voxels) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < points; i += step) {
    unsigned long long voxel = 0;
    for (int64_t axis = 0; axis < axes; ++axis)
      voxel += whole((pos[i * axes + axis] - bounds->low[axis]) / size[axis]) * bounds->strides[axis];
    voxels[i] = static_cast<int64_t>(voxel);
  }
}

}  // namespace

template <class T>
void grid(Context& ctx, In<T, 2> pos, In<T, 1> size, Opt<T, 1> start, Opt<T, 1> end, Out<int64_t> output) {
  const int64_t points = pos.dim(0), axes = pos.dim(1);
  check(axes <= most_axes, "points have ", axes, " coordinates; the kernel takes at most ", most_axes);
  check(size.size() == axes, "points have ", axes, " coordinates, size has ", size.size());
  check(!start || start.size() == axes, "points have ", axes, " coordinates, start has ", start.size());
  check(!end || end.size() == axes, "points have ", axes, " coordinates, end has ", end.size());
  int64_t* voxels = output.alloc({points});
  if (points == 0) return;
  auto* bounds = ctx.scratch<Bounds<T>>(1);
  if (axes > 0)
    ctx.launch_grid(find_bounds<T>, dim3(static_cast<unsigned>(axes)), threads, pos.data(), start.data(), end.data(),
                    points, axes, bounds);
  ctx.launch_grid(find_strides<T>, dim3(1), 1, size.data(), axes, bounds);
  ctx.launch(number<T>, points, pos.data(), size.data(), bounds, points, axes, voxels);
}
