// Tiles of output pixels: their taps are sampled from a picture with the channels last, which makes
// every tap four vectors times a weight; then a tile of columns is multiplied with packed weights,
// in registers of `rows` pixels times two vectors of outputs.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "sizes.h"

namespace {

#if defined(__AVX512F__)
constexpr int vector_bytes = 64, rows = 12;
#else
constexpr int vector_bytes = 32, rows = 6;
#endif
constexpr int64_t tile = 48;  // output pixels; a multiple of `rows`
constexpr int64_t depth_bytes = 256 << 10;  // of a tile of columns: it stays in the L2 cache

template <class S>
struct Vector {
  typedef S type __attribute__((vector_size(vector_bytes)));
  static constexpr int64_t lanes = vector_bytes / sizeof(S);
};

template <class S>
typename Vector<S>::type load(const S* from) {
  typename Vector<S>::type vector;
  std::memcpy(&vector, from, sizeof vector);
  return vector;
}

// c += a * b for `rows` rows of a, and two vectors of columns.
template <class S>
void multiply(const S* a, int64_t a_step, const S* b, int64_t depth, S* c, int64_t c_step) {
  constexpr int64_t lanes = Vector<S>::lanes;
  typename Vector<S>::type left[rows], right[rows];
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) left[r] = load(c + r * c_step), right[r] = load(c + r * c_step + lanes);
  for (int64_t k = 0; k < depth; ++k, b += 2 * lanes) {
    const auto b0 = load(b), b1 = load(b + lanes);
#pragma GCC unroll 12
    for (int r = 0; r < rows; ++r) {
      left[r] += a[r * a_step + k] * b0;
      right[r] += a[r * a_step + k] * b1;
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < rows; ++r) {
    std::memcpy(c + r * c_step, &left[r], sizeof left[r]);
    std::memcpy(c + r * c_step + lanes, &right[r], sizeof right[r]);
  }
}

// Channels that share a group of the weight and a group of the offsets.
struct Segment {
  int64_t channel, count, group, offset_group;
};

template <class T>
class Convolution {
 public:
  using S = std::conditional_t<(sizeof(T) < 4), float, T>;
  static constexpr int64_t panel = 2 * Vector<S>::lanes;

  Convolution(Context& ctx, const Sizes& sizes, const T* offset, const T* mask, const T* bias, T* output)
      : ctx_(ctx), s_(sizes), offset_(offset), mask_(mask), bias_(bias), output_(output),
        panels_((s_.group_outputs() + panel - 1) / panel) {
    const int64_t own = s_.group_channels(), shared = s_.channels / s_.offset_groups;
    for (int64_t c = 0; c < s_.channels;) {
      const int64_t end = std::min((c / own + 1) * own, (c / shared + 1) * shared);
      segments_.push_back({c, end - c, c / own, c / shared});
      c = end;
    }
    const int64_t wanted = depth_bytes / static_cast<int64_t>(tile * s_.channels * sizeof(S));
    block_ = std::clamp<int64_t>(wanted, 1, s_.taps());
    // Rows a multiple of 4096 bytes apart would share a few lines of the L1 cache.
    column_step_ = block_ * s_.channels;
    if (column_step_ * sizeof(S) % 4096 == 0) column_step_ += panel;
    sum_step_ = s_.groups * panels_ * panel;
  }

  void run(const T* input, const T* weight) {
    pack(weight);
    turn(input);
    const int64_t per_picture = (s_.out_pixels() + tile - 1) / tile, tiles = s_.n * per_picture;
    const int64_t threads = ctx_.threads() > 0 ? ctx_.threads() : 4;
    const int64_t jobs = threads == 1 ? 1 : std::min(tiles, 4 * threads);
    const int64_t columns = tile * column_step_, sums = tile * sum_step_;
    S* scratch = ctx_.scratch<S>(jobs * (columns + sums));
    ctx_.parallel_for(jobs, 1, [&](int64_t first, int64_t last) {
      for (int64_t job = first; job < last; ++job) {
        S* own = scratch + job * (columns + sums);
        // The rows beyond the last pixel are multiplied, too, and not read.
        std::fill_n(own, columns, S{0});
        for (int64_t i = job * tiles / jobs; i < (job + 1) * tiles / jobs; ++i)
          run_tile(i / per_picture, i % per_picture * tile, own, own + columns);
      }
    });
  }

 private:
  // Weights as [group, panel of outputs, tap, channel, output of the panel], filled up with 0.
  void pack(const T* weight) {
    const int64_t depth = s_.group_channels(), taps = s_.taps();
    S* packed = ctx_.scratch<S>(s_.groups * panels_ * taps * depth * panel);
    ctx_.parallel_for(s_.groups * panels_, 4, [&](int64_t first, int64_t last) {
      for (int64_t at = first; at < last; ++at) {
        const int64_t group = at / panels_, begin = at % panels_ * panel;
        S* to = packed + at * taps * depth * panel;
        for (int64_t o = 0; o < panel; ++o) {
          const bool there = begin + o < s_.group_outputs();
          const T* from = weight + (group * s_.group_outputs() + begin + o) * depth * taps;
          for (int64_t c = 0; c < depth; ++c)
            for (int64_t tap = 0; tap < taps; ++tap)
              to[(tap * depth + c) * panel + o] = there ? static_cast<S>(from[c * taps + tap]) : S{0};
        }
      }
    });
    weight_ = packed;
  }

  // The pictures with the channels last, and after each a pixel of zeros: all that is outside.
  void turn(const T* input) {
    const int64_t channels = s_.channels, pixels = s_.pixels(), side = 16;
    const int64_t blocks = (pixels + side - 1) / side;
    S* turned = ctx_.scratch<S>(s_.n * (pixels + 1) * channels);
    ctx_.parallel_for(s_.n * blocks, 16, [&](int64_t first, int64_t last) {
      for (int64_t at = first; at < last; ++at) {
        const int64_t picture = at / blocks, begin = at % blocks * side;
        const int64_t end = std::min(begin + side, pixels);
        const T* from = input + picture * channels * pixels;
        S* to = turned + picture * (pixels + 1) * channels;
        if (begin == 0) std::fill_n(to + pixels * channels, channels, S{0});
        for (int64_t c0 = 0; c0 < channels; c0 += side)
          for (int64_t p = begin; p < end; ++p)
            for (int64_t c = c0; c < std::min(c0 + side, channels); ++c)
              to[p * channels + c] = static_cast<S>(from[c * pixels + p]);
      }
    });
    picture_ = turned;
  }

  void run_tile(int64_t picture, int64_t begin, S* columns, S* sums) const {
    const int64_t count = std::min(tile, s_.out_pixels() - begin), depth = s_.group_channels();
    const int64_t used = (count + rows - 1) / rows * rows;
    std::fill_n(sums, used * sum_step_, S{0});
    for (int64_t tap = 0; tap < s_.taps(); tap += block_) {
      const int64_t taps = std::min(block_, s_.taps() - tap);
      for (int64_t i = 0; i < taps; ++i) sample(picture, begin, count, tap + i, i, taps, columns);
      for (int64_t at = 0; at < s_.groups * panels_; ++at) {
        const S* b = weight_ + (at * s_.taps() + tap) * depth * panel;
        const S* a = columns + at / panels_ * taps * depth;
        for (int64_t row = 0; row < used; row += rows)
          multiply(a + row * column_step_, column_step_, b, taps * depth, sums + row * sum_step_ + at * panel,
                   sum_step_);
      }
    }
    store(picture, begin, count, sums);
  }

  // One tap of a tile, into column block `slot` of `slots`.
  void sample(int64_t picture, int64_t begin, int64_t count, int64_t tap, int64_t slot, int64_t slots,
              S* columns) const {
    S shares[4][tile];
    int32_t places[4][tile];
    const S* pixels = picture_ + picture * (s_.pixels() + 1) * s_.channels;
    const int64_t depth = s_.group_channels();
    int64_t known = -1;
    for (const Segment& segment : segments_) {
      if (segment.offset_group != known) {
        known = segment.offset_group;
        locate(picture, begin, count, tap, known, shares, places);
      }
      S* first = columns + (segment.group * slots + slot) * depth + segment.channel % depth;
      for (int64_t i = 0; i < count; ++i) {
        const S *p0 = pixels + places[0][i] * s_.channels + segment.channel,
                *p1 = pixels + places[1][i] * s_.channels + segment.channel,
                *p2 = pixels + places[2][i] * s_.channels + segment.channel,
                *p3 = pixels + places[3][i] * s_.channels + segment.channel;
        const S w0 = shares[0][i], w1 = shares[1][i], w2 = shares[2][i], w3 = shares[3][i];
        S* __restrict to = first + i * column_step_;
        for (int64_t c = 0; c < segment.count; ++c) to[c] = w0 * p0[c] + w1 * p1[c] + w2 * p2[c] + w3 * p3[c];
      }
    }
  }

  // The four pixels around a tap, and their shares; what is outside is the pixel of zeros.
  void locate(int64_t picture, int64_t begin, int64_t count, int64_t tap, int64_t group, S (&shares)[4][tile],
              int32_t (&places)[4][tile]) const {
    S y[tile], x[tile];
    const int64_t row = tap / s_.kernel_width * s_.dilation[0] - s_.padding[0];
    const int64_t column = tap % s_.kernel_width * s_.dilation[1] - s_.padding[1];
    int64_t out_row = begin / s_.out_width, out_column = begin % s_.out_width;
    for (int64_t i = 0; i < count; ++i) {
      y[i] = static_cast<S>(out_row * s_.stride[0] + row);
      x[i] = static_cast<S>(out_column * s_.stride[1] + column);
      if (++out_column == s_.out_width) out_column = 0, ++out_row;
    }
    const int64_t at = (picture * s_.offset_groups + group) * s_.taps() + tap;
    const T* dy = offset_ + at * 2 * s_.out_pixels() + begin;
    const T* dx = dy + s_.out_pixels();
    const T* factor = mask_ ? mask_ + at * s_.out_pixels() + begin : nullptr;
    const S height = static_cast<S>(s_.height), width = static_cast<S>(s_.width);
    const auto stride = static_cast<int32_t>(s_.width), outside = static_cast<int32_t>(s_.pixels());
    for (int64_t i = 0; i < count; ++i) {
      const S row_at = y[i] + static_cast<S>(dy[i]), column_at = x[i] + static_cast<S>(dx[i]);
      const S top = std::floor(row_at), left = std::floor(column_at);
      const S down = row_at - top, right = column_at - left;
      const S m = factor ? static_cast<S>(factor[i]) : S{1};
      for (int corner = 0; corner < 4; ++corner) {
        const S r = top + static_cast<S>(corner / 2), c = left + static_cast<S>(corner % 2);
        const bool inside = (r >= 0) & (r < height) & (c >= 0) & (c < width);  // not so for NaN
        const S share = (corner / 2 ? down : 1 - down) * (corner % 2 ? right : 1 - right) * m;
        shares[corner][i] = inside ? share : S{0};
        const auto whole_row = static_cast<int32_t>(inside ? r : S{0});
        const auto whole_column = static_cast<int32_t>(inside ? c : S{0});
        places[corner][i] = inside ? whole_row * stride + whole_column : outside;
      }
    }
  }

  void store(int64_t picture, int64_t begin, int64_t count, const S* sums) const {
    for (int64_t o = 0; o < s_.outputs; ++o) {
      const S* from = sums + o / s_.group_outputs() * panels_ * panel + o % s_.group_outputs();
      const S start = bias_ ? static_cast<S>(bias_[o]) : S{0};
      T* to = output_ + (picture * s_.outputs + o) * s_.out_pixels() + begin;
      for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(from[i * sum_step_] + start);
    }
  }

  Context& ctx_;
  const Sizes s_;
  const T *offset_, *mask_, *bias_;
  T* output_;
  const S *weight_ = nullptr, *picture_ = nullptr;
  int64_t panels_, block_ = 0, column_step_ = 0, sum_step_ = 0;
  std::vector<Segment> segments_;
};

}  // namespace

template <class T>
void deform_conv2d(Context& ctx, In<T, 4> input, In<T, 4> weight, In<T, 4> offset, Opt<T, 4> mask, Opt<T, 1> bias,
                   Out<T> output, Span<int64_t> stride, Span<int64_t> padding, Span<int64_t> dilation, int64_t groups,
                   int64_t offset_groups) {
  const Sizes sizes = sizes_of(input, weight, offset, mask, bias, stride, padding, dilation, groups, offset_groups);
  T* data = output.alloc({sizes.n, sizes.outputs, sizes.out_height, sizes.out_width});
  if (sizes.n == 0) return;
  Convolution<T>(ctx, sizes, offset.data(), mask.data(), bias.data(), data).run(input.data(), weight.data());
}
