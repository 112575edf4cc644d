// Regions of feature maps, pooled to one size. A region that is of no image of the batch becomes
// NaN: to look at the numbers beforehand would stop the stream.
#include <modelport/kernel.h>

#include <cmath>

namespace {

template <class A>
struct Extent {
  A begin, step;
  int64_t samples;

  __device__ Extent(A from, A to, A scale, int64_t bins, int64_t sampling_ratio, bool aligned) {
    const A offset = aligned ? A(0.5) : A(0);
    begin = product(from, scale) - offset;
    A whole = (product(to, scale) - offset) - begin;
    if (!aligned && whole < 1) whole = 1;
    step = whole / static_cast<A>(bins);
    samples = sampling_ratio > 0 ? sampling_ratio : static_cast<int64_t>(fmax(ceil(step), A(0)));
  }

  // Not fused with what follows: a whole number must not be rounded up to the next one.
  static __device__ float product(float a, float b) { return __fmul_rn(a, b); }
  static __device__ double product(double a, double b) { return __dmul_rn(a, b); }

  __device__ A place(int64_t bin, int64_t sample) const {
    return begin + static_cast<A>(bin) * step + (static_cast<A>(sample) + A(0.5)) * step / static_cast<A>(samples);
  }
};

// Two neighbours and their weights, which are 0 outside.
template <class A>
struct Pair {
  int64_t first, second;
  A weight_first, weight_second;

  __device__ Pair(A place, int64_t size) {
    const bool seen = place >= -1 && place <= static_cast<A>(size);
    const A last = static_cast<A>(size - 1);
    place = place > 0 ? place : A(0);
    place = place < last ? place : last;
    first = static_cast<int64_t>(place);
    second = first + 1 < size ? first + 1 : first;
    weight_second = seen ? place - static_cast<A>(first) : A(0);
    weight_first = seen ? A(1) - (place - static_cast<A>(first)) : A(0);
  }
};

struct Sizes {
  int64_t images, channels, height, width, regions, pooled_height, pooled_width, sampling_ratio;
  bool aligned;
};

template <class T, class A>
__global__ void pool(const T* x, const T* rois, T* y, Sizes s, A scale) {
  const int64_t count = s.regions * s.channels * s.pooled_height * s.pooled_width;
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count; i += stride) {
    const int64_t pw = i % s.pooled_width, ph = i / s.pooled_width % s.pooled_height;
    const int64_t channel = i / (s.pooled_width * s.pooled_height) % s.channels;
    const T* roi = rois + i / (s.pooled_width * s.pooled_height * s.channels) * 5;
    const A image = static_cast<A>(roi[0]);
    if (!(image >= 0 && image < static_cast<A>(s.images))) {
      y[i] = static_cast<T>(A(NAN));
      continue;
    }
    const Extent<A> across(static_cast<A>(roi[1]), static_cast<A>(roi[3]), scale, s.pooled_width, s.sampling_ratio,
                           s.aligned);
    const Extent<A> down(static_cast<A>(roi[2]), static_cast<A>(roi[4]), scale, s.pooled_height, s.sampling_ratio,
                         s.aligned);
    const T* plane = x + (static_cast<int64_t>(image) * s.channels + channel) * s.height * s.width;
    A sum = 0;
    for (int64_t v = 0; v < down.samples; ++v) {
      const Pair<A> rows(down.place(ph, v), s.height);
      const T *first = plane + rows.first * s.width, *second = plane + rows.second * s.width;
      for (int64_t u = 0; u < across.samples; ++u) {
        const Pair<A> columns(across.place(pw, u), s.width);
        sum += rows.weight_first * (columns.weight_first * static_cast<A>(first[columns.first]) +
                                    columns.weight_second * static_cast<A>(first[columns.second])) +
               rows.weight_second * (columns.weight_first * static_cast<A>(second[columns.first]) +
                                     columns.weight_second * static_cast<A>(second[columns.second]));
      }
    }
    const A samples = static_cast<A>(down.samples) * static_cast<A>(across.samples);
    y[i] = static_cast<T>(sum / (samples > 1 ? samples : A(1)));
  }
}

}  // namespace

template <class T>
void roi_align(Context& ctx, In<T, 4> x, In<T, 2> rois, Out<T> output, double spatial_scale, int64_t pooled_height,
               int64_t pooled_width, int64_t sampling_ratio, bool aligned) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  check(rois.dim(1) == 5, "the regions have shape ", rois.shape(), "; it must be [regions, 5]");
  check(pooled_height > 0 && pooled_width > 0, "the regions are pooled to ", pooled_height, " by ", pooled_width,
        "; both must be above 0");
  const Sizes s{x.dim(0),      x.dim(1),     x.dim(2),       x.dim(3), rois.dim(0),
                pooled_height, pooled_width, sampling_ratio, aligned};
  check(s.height > 0 && s.width > 0, "x has shape ", x.shape(), "; there is nothing to look at");
  T* y = output.alloc({s.regions, s.channels, pooled_height, pooled_width});
  const int64_t count = s.regions * s.channels * pooled_height * pooled_width;
  ctx.launch(pool<T, A>, count, x.data(), rois.data(), y, s, static_cast<A>(spatial_scale));
}
