// The voxel that each point of a cloud lies in.
#include <modelport/kernel.h>

#include <limits>
#include <mutex>
#include <vector>

namespace {

// Towards 0; what no int64 holds becomes the lowest one, as PyTorch has it on this platform.
template <class T>
int64_t whole(T value) {
  constexpr T beyond = static_cast<T>(9223372036854775808.0);
  return value > -beyond && value < beyond ? static_cast<int64_t>(value) : std::numeric_limits<int64_t>::min();
}

// Numbers of voxels wrap around where there are too many, as PyTorch's do.
int64_t times(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
}
int64_t plus(int64_t a, int64_t b) { return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b)); }

template <class T>
void bounds(Context& ctx, const T* pos, int64_t points, int64_t axes, T* low, T* high) {
  std::mutex mutex;
  for (int64_t axis = 0; axis < axes; ++axis) low[axis] = high[axis] = pos[axis];
  ctx.parallel_for(points, 1 << 14, [&](int64_t begin, int64_t end) {
    std::vector<T> least(pos + begin * axes, pos + (begin + 1) * axes), most = least;
    for (int64_t i = begin; i < end; ++i)
      for (int64_t axis = 0; axis < axes; ++axis) {
        const T at = pos[i * axes + axis];
        const auto a = static_cast<size_t>(axis);
        // A NaN stays, as in PyTorch's minimum.
        least[a] = at < least[a] || at != at ? at : least[a];
        most[a] = at > most[a] || at != at ? at : most[a];
      }
    const std::lock_guard<std::mutex> lock(mutex);
    for (int64_t axis = 0; axis < axes; ++axis) {
      const T l = least[static_cast<size_t>(axis)], m = most[static_cast<size_t>(axis)];
      low[axis] = l < low[axis] || l != l ? l : low[axis];
      high[axis] = m > high[axis] || m != m ? m : high[axis];
    }
  });
}

}  // namespace

template <class T>
void grid(Context& ctx, In<T, 2> pos, In<T, 1> size, Opt<T, 1> start, Opt<T, 1> end, Out<int64_t> output) {
  const int64_t points = pos.dim(0), axes = pos.dim(1);
  check(size.size() == axes, "points have ", axes, " coordinates, size has ", size.size());
  check(!start || start.size() == axes, "points have ", axes, " coordinates, start has ", start.size());
  check(!end || end.size() == axes, "points have ", axes, " coordinates, end has ", end.size());
  for (int64_t axis = 0; axis < axes; ++axis)
    check(size[axis] > 0, "the size of a voxel is ", size[axis], " along axis ", axis, "; it must be above 0");
  int64_t* voxels = output.alloc({points});
  if (points == 0) return;
  const auto count = static_cast<size_t>(axes);
  std::vector<T> low(count), high(count);
  const T* p = pos.data();
  if (!start || !end) bounds(ctx, p, points, axes, low.data(), high.data());
  if (start) low.assign(start.data(), start.data() + axes);
  if (end) high.assign(end.data(), end.data() + axes);
  std::vector<int64_t> strides(count);
  int64_t stride = 1;
  for (size_t axis = 0; axis < count; ++axis) {
    strides[axis] = stride;
    stride = times(stride, plus(whole((high[axis] - low[axis]) / size[static_cast<int64_t>(axis)]), 1));
  }
  ctx.parallel_for(points, 1 << 13, [&](int64_t begin, int64_t stop) {
    for (int64_t i = begin; i < stop; ++i) {
      int64_t voxel = 0;
      for (int64_t axis = 0; axis < axes; ++axis) {
        const auto a = static_cast<size_t>(axis);
        voxel = plus(voxel, times(whole((p[i * axes + axis] - low[a]) / size[axis]), strides[a]));
      }
      voxels[i] = voxel;
    }
  });
}
