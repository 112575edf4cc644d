// Resizing by scales that are chosen at run time, one axis after the other: a row of the input is
// stretched once, and kept while output rows need it.
#include <modelport/kernel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace {

// Where an axis of the output looks at the input: `taps` elements from `first` on, which may lie
// outside and stand for the element at the edge there.
template <class A>
struct Axis {
  std::vector<int32_t> first;
  std::vector<A> weights[4];
};

int64_t output_size(int64_t size, float scale) {
  check(std::isfinite(scale) && scale > 0, "a scale is ", scale, "; it must be above 0");
  const double wanted = static_cast<double>(size) * static_cast<double>(scale);
  check(wanted >= 1, "a scale of ", scale, " leaves nothing of a size of ", size);
  check(wanted < std::numeric_limits<int32_t>::max(), "a scale of ", scale, " makes ", size, " too large");
  return static_cast<int64_t>(wanted);
}

template <class A>
A near_weight(A d) {
  return (A(1.25) * d - A(2.25)) * d * d + A(1);
}
template <class A>
A far_weight(A d) {
  return ((A(-0.75) * d + A(3.75)) * d - A(6)) * d + A(3);
}

template <class A>
Axis<A> axis(int64_t size, int64_t outputs, float scale, int taps, bool align_corners) {
  Axis<A> made;
  made.first.resize(static_cast<size_t>(outputs));
  for (int tap = 0; tap < taps; ++tap) made.weights[tap].resize(static_cast<size_t>(outputs));
  const A step = align_corners ? (outputs > 1 ? static_cast<A>(size - 1) / static_cast<A>(outputs - 1) : A(0))
                               : static_cast<A>(1.0 / static_cast<double>(scale));
  for (int64_t i = 0; i < outputs; ++i) {
    const auto at = static_cast<size_t>(i);
    A source = static_cast<A>(i) * step;
    if (taps > 1 && !align_corners) source = (static_cast<A>(i) + A(0.5)) * step - A(0.5);
    if (taps == 2 && source < 0) source = 0;
    // Rounding can put the last ones just beyond.
    A low = std::min(std::floor(source), static_cast<A>(size - 1));
    const A part = source - low;
    if (taps == 2) {
      made.weights[0][at] = A(1) - part;
      made.weights[1][at] = part;
    } else if (taps == 4) {
      low -= 1;
      made.weights[0][at] = far_weight(part + A(1));
      made.weights[1][at] = near_weight(part);
      made.weights[2][at] = near_weight(A(1) - part);
      made.weights[3][at] = far_weight(A(2) - part);
    }
    made.first[at] = static_cast<int32_t>(low);
  }
  return made;
}

int64_t clamp(int64_t index, int64_t size) { return index < 0 ? 0 : index >= size ? size - 1 : index; }

// A row with its edges repeated, so that every tap may be read: `margin` on either side.
constexpr int64_t margin = 2;
template <class T, class A>
void widen(const T* row, int64_t size, A* wide) {
  for (int64_t i = 0; i < size; ++i) wide[margin + i] = static_cast<A>(row[i]);
  for (int64_t i = 0; i < margin; ++i) {
    wide[i] = static_cast<A>(row[0]);
    wide[margin + size + i] = static_cast<A>(row[size - 1]);
  }
}

template <int taps, class A>
void stretch(const A* __restrict wide, const Axis<A>& columns, A* __restrict made, int64_t width) {
  const int32_t* __restrict first = columns.first.data();
  const A *__restrict w0 = columns.weights[0].data(), *__restrict w1 = columns.weights[1].data(),
          *__restrict w2 = columns.weights[2].data(), *__restrict w3 = columns.weights[3].data();
  for (int64_t i = 0; i < width; ++i) {
    const A* from = wide + margin + first[i];
    if constexpr (taps == 2) made[i] = w0[i] * from[0] + w1[i] * from[1];
    else made[i] = w0[i] * from[0] + w1[i] * from[1] + w2[i] * from[2] + w3[i] * from[3];
  }
}

template <class T>
struct Sizes {
  const T* x;
  T* y;
  int64_t planes, height, width, out_height, out_width;
};

// Element by element: a processor's gather instructions are slower than plain loads.
template <class T>
__attribute__((optimize("no-tree-vectorize"))) void pick(const T* __restrict from, const int32_t* __restrict first,
                                                         T* __restrict to, int64_t width) {
#pragma GCC unroll 8
  for (int64_t i = 0; i < width; ++i) to[i] = from[first[i]];
}

template <class T>
void nearest(Context& ctx, const Sizes<T>& s, float down, float across) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const Axis<A> rows = axis<A>(s.height, s.out_height, down, 1, false);
  const Axis<A> columns = axis<A>(s.width, s.out_width, across, 1, false);
  ctx.parallel_for(s.planes * s.out_height, 1 + (1 << 14) / s.out_width, [&](int64_t begin, int64_t end) {
    const T* before = nullptr;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t plane = row / s.out_height;
      const T* from = s.x + (plane * s.height + rows.first[static_cast<size_t>(row % s.out_height)]) * s.width;
      T* to = s.y + row * s.out_width;
      if (from == before) std::memcpy(to, to - s.out_width, static_cast<size_t>(s.out_width) * sizeof(T));
      else pick(from, columns.first.data(), to, s.out_width);
      before = from;
    }
  });
}

template <int taps, class T>
void smooth(Context& ctx, const Sizes<T>& s, float down, float across, bool align_corners) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  const Axis<A> rows = axis<A>(s.height, s.out_height, down, taps, align_corners);
  const Axis<A> columns = axis<A>(s.width, s.out_width, across, taps, align_corners);
  ctx.parallel_for(s.planes * s.out_height, 1 + (1 << 13) / s.out_width, [&](int64_t begin, int64_t end) {
    std::vector<A> wide(static_cast<size_t>(s.width + 2 * margin));
    std::vector<A> kept(static_cast<size_t>(taps * s.out_width));
    int64_t kept_row[taps];
    for (int64_t& row : kept_row) row = -1;
    for (int64_t row = begin; row < end; ++row) {
      const int64_t plane = row / s.out_height;
      const auto y = static_cast<size_t>(row % s.out_height);
      const A* stretched[taps];
      for (int tap = 0; tap < taps; ++tap) {
        const int64_t needed = plane * s.height + clamp(rows.first[y] + tap, s.height);
        // Rows that are needed together follow each other, and so have places of their own.
        A* place = kept.data() + needed % taps * s.out_width;
        if (kept_row[needed % taps] != needed) {
          widen(s.x + needed * s.width, s.width, wide.data());
          stretch<taps>(wide.data(), columns, place, s.out_width);
          kept_row[needed % taps] = needed;
        }
        stretched[tap] = place;
      }
      T* __restrict to = s.y + row * s.out_width;
      const A* __restrict r0 = stretched[0];
      const A* __restrict r1 = stretched[1];
      const A w0 = rows.weights[0][y], w1 = rows.weights[1][y];
      if constexpr (taps == 2) {
        for (int64_t i = 0; i < s.out_width; ++i) to[i] = static_cast<T>(w0 * r0[i] + w1 * r1[i]);
      } else {
        const A* __restrict r2 = stretched[2];
        const A* __restrict r3 = stretched[3];
        const A w2 = rows.weights[2][y], w3 = rows.weights[3][y];
        for (int64_t i = 0; i < s.out_width; ++i)
          to[i] = static_cast<T>(w0 * r0[i] + w1 * r1[i] + w2 * r2[i] + w3 * r3[i]);
      }
    }
  });
}

}  // namespace

template <class T>
void dynamic_resize(Context& ctx, In<T, 4> x, HostIn<float, 1> scales, Out<T> output, std::string_view mode,
                    bool align_corners, double) {
  const bool is_nearest = mode == "nearest";
  check(is_nearest || mode == "bilinear" || mode == "bicubic", "the mode is '", mode,
        "'; it is bicubic, bilinear or nearest");
  check(!(is_nearest && align_corners), "align_corners is not for the mode nearest");
  const int64_t count = scales.size();
  check(count == 2 || count == 4, "there are ", count, " scales; there must be 2 or 4");
  check(count == 2 || (scales[0] == 1 && scales[1] == 1), "the scales of batch and channels are ", scales[0], " and ",
        scales[1], "; they must be 1");
  const float down = scales[count - 2], across = scales[count - 1];
  const Shape made{x.dim(0), x.dim(1), output_size(x.dim(2), down), output_size(x.dim(3), across)};
  T* y = output.alloc(made);
  if (made.count() == 0) return;
  const Sizes<T> sizes{x.data(), y, x.dim(0) * x.dim(1), x.dim(2), x.dim(3), made[2], made[3]};
  check(sizes.width < std::numeric_limits<int32_t>::max() && sizes.height < std::numeric_limits<int32_t>::max(),
        "x has shape ", x.shape(), ", which is too large");
  if (is_nearest) nearest(ctx, sizes, down, across);
  else if (mode == "bilinear") smooth<2>(ctx, sizes, down, across, align_corners);
  else smooth<4>(ctx, sizes, down, across, align_corners);
}
