#include <modelport/kernel.h>

namespace {

struct Windows {
  int64_t length, before, size, count, step;
  float factor;
};

template <class T>
__global__ void sum(const T* x, const float* shift, T* sums, float* wide, Windows w) {
  const int64_t window = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (window >= w.count) return;
  float total = 0;
  for (int64_t i = 0; i < w.size; i += w.step) {
    const int64_t at = window * w.size + i - w.before;
    if (at >= 0 && at < w.length) total += static_cast<float>(x[at]);
  }
  wide[window] = total * w.factor + (shift ? *shift : 0);
  sums[window] = static_cast<T>(wide[window]);
}

__global__ void above(const float* wide, int32_t* places, int64_t* found, int64_t count) {
  int64_t last = 0;
  for (int64_t i = 0; i < count; ++i)
    if (wide[i] > 0) places[last++] = static_cast<int32_t>(i);
  *found = last;
}

}  // namespace

template <class T>
void windows(Context& ctx, In<T, 1> x, HostOpt<float, 1> factor, Opt<float, 1> shift, Out<T> sums, Out<int32_t> places,
             int64_t size, Span<int64_t> pads, std::string_view mode, double share, bool whole) {
  check(mode == "all" || mode == "even", "the mode is '", mode, "'");
  const int64_t windows = (x.size() + pads[0] + pads[1]) / size, count = windows > 1 ? windows : 1;
  auto* wide = ctx.scratch<float>(count);
  auto* chosen = ctx.scratch<int32_t>(count);
  auto* found = ctx.scratch<int64_t>(1);
  const float by = (whole ? 1.0f : static_cast<float>(share)) * (factor ? factor[0] : 1.0f);
  ctx.launch(sum<T>, count, x.data(), shift.data(), sums.alloc({count}), wide,
             Windows{x.size(), pads[0], size, count, mode == "even" ? 2 : 1, by});
  ctx.launch_grid(above, dim3(1), 1, wide, chosen, found, count);
  const cudaStream_t stream = ctx.stream();
  int64_t total = 0;
  cudaMemcpyAsync(&total, found, sizeof total, cudaMemcpyDeviceToHost, stream);
  check(cudaStreamSynchronize(stream) == cudaSuccess, "windows failed: ", cudaGetErrorString(cudaGetLastError()));
  const size_t bytes = static_cast<size_t>(total) * sizeof(int32_t);
  cudaMemcpyAsync(places.alloc({total}), chosen, bytes, cudaMemcpyDeviceToDevice, stream);
}
