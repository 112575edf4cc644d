// A thread for an output pixel and sixteen outputs of one group: every tap is located once for the
// channels that share it, and every sampled pixel is multiplied with sixteen weights.
#include "sizes.h"

namespace {

constexpr int outputs_each = 16;

template <class T, class S>
struct Arguments {
  const T *input, *weight, *offset, *mask, *bias;
  T* output;
  Sizes s;
};

// A tap between pixels: where its four corners are, and their shares; -1 is outside.
template <class S>
struct Tap {
  int place[4];
  S share[4];
};

template <class T, class S>
__device__ Tap<S> locate(const Arguments<T, S>& g, int64_t picture, int64_t pixel, int64_t tap, int64_t group) {
  const Sizes& s = g.s;
  const int64_t at = (picture * s.offset_groups + group) * s.taps() + tap;
  const int64_t row = pixel / s.out_width * s.stride[0] - s.padding[0] + tap / s.kernel_width * s.dilation[0];
  const int64_t column = pixel % s.out_width * s.stride[1] - s.padding[1] + tap % s.kernel_width * s.dilation[1];
  const S y = static_cast<S>(row) + static_cast<S>(g.offset[at * 2 * s.out_pixels() + pixel]);
  const S x = static_cast<S>(column) + static_cast<S>(g.offset[(at * 2 + 1) * s.out_pixels() + pixel]);
  const S factor = g.mask ? static_cast<S>(g.mask[at * s.out_pixels() + pixel]) : S(1);
  const S top = floor(y), left = floor(x), down = y - top, right = x - left;
  Tap<S> found;
#pragma unroll
  for (int corner = 0; corner < 4; ++corner) {
    const S r = top + S(corner / 2), c = left + S(corner % 2);
    const bool inside = r >= 0 && r < S(s.height) && c >= 0 && c < S(s.width);  // not so for NaN
    found.place[corner] = inside ? static_cast<int>(r) * static_cast<int>(s.width) + static_cast<int>(c) : -1;
    found.share[corner] = (corner / 2 ? down : 1 - down) * (corner % 2 ? right : 1 - right) * factor;
  }
  return found;
}

template <class T, class S>
__global__ void convolve(const Arguments<T, S> g, int64_t panels) {
  const Sizes& s = g.s;
  const int64_t index = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (index >= s.n * s.out_pixels()) return;
  const int64_t picture = index / s.out_pixels(), pixel = index % s.out_pixels();
  const int64_t group = blockIdx.y / panels, first = blockIdx.y % panels * outputs_each;
  const int64_t depth = s.group_channels(), shared = s.channels / s.offset_groups;
  const int64_t count = s.group_outputs() - first < outputs_each ? s.group_outputs() - first : outputs_each;
  const T* weight = g.weight + (group * s.group_outputs() + first) * depth * s.taps();
  S sums[outputs_each] = {};
  for (int64_t tap = 0; tap < s.taps(); ++tap) {
    int64_t known = -1;
    Tap<S> found;
    for (int64_t c = 0; c < depth; ++c) {
      const int64_t channel = group * depth + c;
      if (channel / shared != known) {
        known = channel / shared;
        found = locate(g, picture, pixel, tap, known);
      }
      const T* picture_data = g.input + (picture * s.channels + channel) * s.pixels();
      S value = 0;
#pragma unroll
      for (int corner = 0; corner < 4; ++corner)
        if (found.place[corner] >= 0) value += found.share[corner] * static_cast<S>(picture_data[found.place[corner]]);
#pragma unroll
      for (int o = 0; o < outputs_each; ++o)
        if (o < count) sums[o] += value * static_cast<S>(weight[(o * depth + c) * s.taps() + tap]);
    }
  }
#pragma unroll
  for (int o = 0; o < outputs_each; ++o)
    if (o < count) {
      const int64_t output = group * s.group_outputs() + first + o;
      const S start = g.bias ? static_cast<S>(g.bias[output]) : S(0);
      g.output[(picture * s.outputs + output) * s.out_pixels() + pixel] = static_cast<T>(sums[o] + start);
    }
}

}  // namespace

template <class T>
void deform_conv2d(Context& ctx, In<T, 4> input, In<T, 4> weight, In<T, 4> offset, Opt<T, 4> mask, Opt<T, 1> bias,
                   Out<T> output, Span<int64_t> stride, Span<int64_t> padding, Span<int64_t> dilation, int64_t groups,
                   int64_t offset_groups) {
  using S = std::conditional_t<(sizeof(T) < 4), float, T>;
  const Sizes s = sizes_of(input, weight, offset, mask, bias, stride, padding, dilation, groups, offset_groups);
  T* data = output.alloc({s.n, s.outputs, s.out_height, s.out_width});
  if (s.n == 0) return;
  const int64_t panels = (s.group_outputs() + outputs_each - 1) / outputs_each, rows = groups * panels;
  check(rows < 65536, "more than a million outputs: ", s.outputs);
  const Arguments<T, S> arguments{input.data(), weight.data(), offset.data(), mask.data(), bias.data(), data, s};
  const dim3 blocks(static_cast<unsigned>((s.n * s.out_pixels() + 127) / 128), static_cast<unsigned>(rows));
  ctx.launch_grid(convolve<T, S>, blocks, 128, arguments, panels);
}
