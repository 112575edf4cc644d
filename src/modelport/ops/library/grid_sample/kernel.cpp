// An image, or a volume, looked at where a grid says. Places are worked out for a block of points
// at a time, and then serve all channels.
#include <modelport/kernel.h>

#include <cmath>
#include <limits>

namespace {

enum class Padding { zeros, border, reflection };

constexpr int64_t block = 256;  // points whose tables fit into the first cache

template <class A>
A near_weight(A d) {
  return (A(1.25) * d - A(2.25)) * d * d + A(1);
}
template <class A>
A far_weight(A d) {
  return ((A(-0.75) * d + A(3.75)) * d - A(6)) * d + A(3);
}

// Coordinates from -1 to 1 along one axis, as places in elements. No branches: loops over points
// become vector instructions.
template <class A, Padding padding>
struct Axis {
  A last, factor, shift, low, span, inverse;

  Axis(int64_t size, bool align_corners)
      : last(static_cast<A>(size - 1)), factor((align_corners ? last : static_cast<A>(size)) / A(2)),
        shift(align_corners ? A(0) : A(0.5)), low(-shift), span(align_corners ? last : static_cast<A>(size)),
        inverse(span > 0 ? A(1) / (A(2) * span) : A(0)) {}

  A place(A coordinate) const { return (coordinate + A(1)) * factor - shift; }

  A inside(A at) const {
    if constexpr (padding == Padding::zeros) return at;
    if constexpr (padding == Padding::reflection) {
      const A from = std::fabs(at - low);
      const A turned = from - A(2) * span * std::floor(from * inverse);  // there and back again
      at = (turned > span ? A(2) * span - turned : turned) + low;
    }
    return clamp(at);
  }

  A clamp(A at) const {
    at = at > 0 ? at : A(0);  // a NaN, too
    return at < last ? at : last;
  }

  // Of an index next to what `inside` gave: the element itself, and 1 where there is one, else 0.
  A element(A index) const {
    if constexpr (padding == Padding::zeros) return clamp(index);
    return index < last ? index : last;
  }
  A seen(A index) const {
    if constexpr (padding == Padding::zeros) return index >= 0 && index <= last ? A(1) : A(0);
    return A(1);
  }
};

// The elements that a block of points looks at along one axis, and their weights.
template <int taps, class A>
struct Looks {
  A index[taps][block], weight[taps][block];

  template <Padding padding>
  void set(const Axis<A, padding>& axis, const A* coordinates, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
      A at = axis.place(coordinates[i]);
      A found[taps], share[taps];
      if constexpr (taps == 2) {
        at = axis.inside(at);
        found[0] = std::floor(at);
        found[1] = found[0] + A(1);
        share[1] = at - found[0];
        share[0] = A(1) - share[1];
      } else {
        const A first = std::floor(at), part = at - first;
        for (int tap = 0; tap < taps; ++tap) found[tap] = axis.inside(first + static_cast<A>(tap - 1));
        share[0] = far_weight(part + A(1));
        share[1] = near_weight(part);
        share[2] = near_weight(A(1) - part);
        share[3] = far_weight(A(2) - part);
      }
      for (int tap = 0; tap < taps; ++tap) {
        // Outside, where the weight may be no number, it is 0.
        weight[tap][i] = axis.seen(found[tap]) > 0 ? share[tap] : A(0);
        index[tap][i] = axis.element(found[tap]);
      }
    }
  }
};

template <class T>
struct Sizes {
  const T* x;
  const T* grid;
  T* y;
  int64_t channels, plane, points;  // of one image
  int64_t size[3];                  // last axis first, as in the grid
  int64_t row;                      // from one row of the image to the next
  bool align_corners;
};

constexpr int power(int base, int exponent) { return exponent == 0 ? 1 : base * power(base, exponent - 1); }

// What a block of points looks at in a plane: in each of several rows, as many elements side by
// side as there are taps.
template <int axes, int taps, class A>
struct Table {
  static constexpr int rows = power(taps, axes - 1);
  int32_t offset[rows][block];
  A weight[rows][block * taps];
  bool all_seen = true;  // of nearest elements: none lies outside

  __attribute__((noinline)) void fill(const Looks<taps, A>* looks, const int64_t* size, int64_t row_stride,
                                      int64_t count) {
    A start[block], across[block * taps];
    make_window(looks[0], size[0], count, start, across);
    const auto stride1 = static_cast<int32_t>(row_stride), stride2 = static_cast<int32_t>(row_stride * size[1]);
    for (int row = 0; row < rows; ++row) {
      const Looks<taps, A>&inner = looks[1], &outer = looks[axes - 1];
      const A *at1 = inner.index[row % taps], *at2 = outer.index[row / taps];
      const A *weight1 = inner.weight[row % taps], *weight2 = outer.weight[row / taps];
      for (int64_t i = 0; i < count; ++i) {
        offset[row][i] = static_cast<int32_t>(start[i]) + static_cast<int32_t>(at1[i]) * stride1;
        if constexpr (axes == 3) offset[row][i] += static_cast<int32_t>(at2[i]) * stride2;
      }
      for (int64_t i = 0; i < count; ++i)
        for (int slot = 0; slot < taps; ++slot)
          weight[row][i * taps + slot] = weight1[i] * (axes == 3 ? weight2[i] : A(1)) * across[i * taps + slot];
    }
  }

 private:
  // Moves the weights of the taps along the last axis to the elements of a window around them.
  static void make_window(const Looks<taps, A>& looks, int64_t size, int64_t count, A* start, A* weight) {
    const A most = static_cast<A>(size > taps ? size - taps : 0);
    for (int64_t i = 0; i < count; ++i) {
      A first = most;
      for (int tap = 0; tap < taps; ++tap) first = looks.index[tap][i] < first ? looks.index[tap][i] : first;
      start[i] = first;
      for (int slot = 0; slot < taps; ++slot) {
        A sum = 0;
        for (int tap = 0; tap < taps; ++tap)
          sum += looks.index[tap][i] == first + static_cast<A>(slot) ? looks.weight[tap][i] : A(0);
        weight[i * taps + slot] = sum;
      }
    }
  }
};

// Vectors of several points: their windows, one after the other.
template <int taps, class T, class A>
struct Windows {
  static constexpr int points = taps * sizeof(A) >= 16 ? 1 : 32 / (taps * sizeof(A));
  typedef A Vector __attribute__((vector_size(points * taps * sizeof(A))));

  static Vector load(const T* from, const int32_t* offset) {
    Vector loaded{};
    if constexpr (std::is_same_v<T, A> && taps * sizeof(A) == 8 && taps == 2) {
      // A pair of floats travels as one double.
      typedef double Doubles __attribute__((vector_size(32)));
      Doubles pairs{};
      for (int point = 0; point < points; ++point) {
        double pair;
        std::memcpy(&pair, from + offset[point], sizeof pair);
        pairs[point] = pair;
      }
      loaded = reinterpret_cast<Vector>(pairs);
    } else if constexpr (std::is_same_v<T, A> && points == 1) {
      std::memcpy(&loaded, from + offset[0], sizeof loaded);
    } else {
      for (int point = 0; point < points; ++point)
        for (int slot = 0; slot < taps; ++slot)
          loaded[point * taps + slot] = static_cast<A>(from[offset[point] + slot]);
    }
    return loaded;
  }
};

template <int axes, int taps, class T, class A>
__attribute__((noinline)) void look(const Table<axes, taps, A>& table, const T* __restrict from, T* __restrict to,
                                    int64_t count) {
  using Wide = Windows<taps, T, A>;
  alignas(64) A parts[block * taps];
  // A last vector of fewer points reads offsets that lie in the table, too.
  for (int64_t i = 0; i < count; i += Wide::points) {
    typename Wide::Vector sum{};
    for (int row = 0; row < Table<axes, taps, A>::rows; ++row) {
      typename Wide::Vector weight;
      std::memcpy(&weight, table.weight[row] + i * taps, sizeof weight);
      sum += weight * Wide::load(from, table.offset[row] + i);
    }
    std::memcpy(parts + i * taps, &sum, sizeof sum);
  }
  for (int64_t i = 0; i < count; ++i) {
    A sum = parts[i * taps];
    for (int slot = 1; slot < taps; ++slot) sum += parts[i * taps + slot];
    to[i] = static_cast<T>(sum);
  }
}

// One element a point. Scalar loads and stores are faster here than vectors put together of them.
template <int axes, class T, class A>
__attribute__((noinline)) void take(const Table<axes, 1, A>& table, const T* __restrict from, T* __restrict to,
                                    int64_t count) {
  const int32_t* offset = table.offset[0];
  int64_t i = 0;
  for (; i + 4 <= count; i += 4) {
    const T a = from[offset[i]], b = from[offset[i + 1]], c = from[offset[i + 2]], d = from[offset[i + 3]];
    to[i] = a, to[i + 1] = b, to[i + 2] = c, to[i + 3] = d;
  }
  for (; i < count; ++i) to[i] = from[offset[i]];
  if (table.all_seen) return;
  for (i = 0; i < count; ++i) to[i] = table.weight[0][i] > 0 ? to[i] : T(0);
}

template <int axes, class A, Padding padding>
void find_nearest(Table<axes, 1, A>& table, const A (*coordinates)[block], const int64_t* size, bool align_corners,
                  int64_t count) {
  const Axis<A, padding> axis[] = {{size[0], align_corners}, {size[1], align_corners}, {size[axes - 1], align_corners}};
  const auto stride1 = static_cast<int32_t>(size[0]), stride2 = static_cast<int32_t>(size[0] * size[1]);
  int32_t unseen = 0;
  for (int64_t i = 0; i < count; ++i) {
    const A u = std::nearbyint(axis[0].inside(axis[0].place(coordinates[0][i])));
    const A v = std::nearbyint(axis[1].inside(axis[1].place(coordinates[1][i])));
    int32_t offset = static_cast<int32_t>(axis[0].element(u)) + static_cast<int32_t>(axis[1].element(v)) * stride1;
    A weight = axis[0].seen(u) * axis[1].seen(v);
    if constexpr (axes == 3) {
      const A w = std::nearbyint(axis[2].inside(axis[2].place(coordinates[2][i])));
      offset += static_cast<int32_t>(axis[2].element(w)) * stride2;
      weight *= axis[2].seen(w);
    }
    table.offset[0][i] = offset;
    table.weight[0][i] = weight;
    unseen |= weight > 0 ? 0 : 1;
  }
  table.all_seen = unseen == 0;
}

template <int axes, int taps, Padding padding, class A>
__attribute__((noinline)) void prepare(Table<axes, taps, A>& table, const A (*coordinates)[block], const int64_t* size,
                                       int64_t row_stride, bool align_corners, int64_t count) {
  const int64_t whole = (count + 7) / 8 * 8;  // whole vectors
  if constexpr (taps == 1) {
    find_nearest<axes, A, padding>(table, coordinates, size, align_corners, whole);
  } else {
    Looks<taps, A> looks[axes];
    for (int axis = 0; axis < axes; ++axis)
      looks[axis].set(Axis<A, padding>(size[axis], align_corners), coordinates[axis], whole);
    table.fill(looks, size, row_stride, whole);
  }
}

template <int axes, int taps, class T>
void sample(Context& ctx, Sizes<T> s, int64_t images, Padding padding) {
  using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
  s.row = s.size[0];
  if (s.row < taps) {
    // Windows must fit into rows.
    const int64_t rows = images * s.channels * s.plane / s.size[0];
    T* wide = ctx.scratch<T>(rows * taps);
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t i = 0; i < taps; ++i) wide[row * taps + i] = i < s.size[0] ? s.x[row * s.size[0] + i] : T(0);
    s.x = wide;
    s.row = taps;
    s.plane = s.plane / s.size[0] * taps;
  }
  const int64_t blocks = (s.points + block - 1) / block;
  ctx.parallel_for(images * blocks, 1 + 64 / (4 + s.channels), [&](int64_t begin, int64_t end) {
    Table<axes, taps, A> table;
    A coordinates[axes][block] = {};
    for (int64_t index = begin; index < end; ++index) {
      const int64_t image = index / blocks, first = index % blocks * block;
      const int64_t count = s.points - first < block ? s.points - first : block;
      const T* grid = s.grid + (image * s.points + first) * axes;
      for (int axis = 0; axis < axes; ++axis)
        for (int64_t i = 0; i < count; ++i) coordinates[axis][i] = static_cast<A>(grid[i * axes + axis]);
      if (padding == Padding::zeros)
        prepare<axes, taps, Padding::zeros>(table, coordinates, s.size, s.row, s.align_corners, count);
      else if (padding == Padding::border)
        prepare<axes, taps, Padding::border>(table, coordinates, s.size, s.row, s.align_corners, count);
      else prepare<axes, taps, Padding::reflection>(table, coordinates, s.size, s.row, s.align_corners, count);
      for (int64_t c = image * s.channels; c < (image + 1) * s.channels; ++c)
        if constexpr (taps == 1) take(table, s.x + c * s.plane, s.y + c * s.points + first, count);
        else look(table, s.x + c * s.plane, s.y + c * s.points + first, count);
    }
  });
}

}  // namespace

template <class T>
void grid_sample(Context& ctx, In<T> x, In<T> grid, Out<T> output, std::string_view mode, std::string_view padding_mode,
                 bool align_corners) {
  check(x.rank() == 4 || x.rank() == 5, "x has shape ", x.shape(), "; it must have rank 4 or 5");
  const size_t axes = x.rank() - 2;
  check(grid.rank() == x.rank() && grid.dim(axes + 1) == static_cast<int64_t>(axes), "x has shape ", x.shape(),
        ", the grid ", grid.shape(), "; its last dimension must be ", axes);
  check(x.dim(0) == grid.dim(0), "there are ", x.dim(0), " images and ", grid.dim(0), " grids");
  const int taps = mode == "nearest" ? 1 : mode == "bilinear" ? 2 : 4;
  check(taps < 4 || mode == "bicubic", "the mode is '", mode, "'; it is bilinear, nearest or bicubic");
  check(taps < 4 || axes == 2, "the mode bicubic is for images, not for volumes");
  Shape made = x.shape();
  Sizes<T> s{};
  const Padding padding = padding_mode == "zeros"    ? Padding::zeros
                          : padding_mode == "border" ? Padding::border
                                                     : Padding::reflection;
  check(padding != Padding::reflection || padding_mode == "reflection", "the padding_mode is '", padding_mode,
        "'; it is zeros, border or reflection");
  s.plane = s.points = 1;
  for (size_t axis = 0; axis < axes; ++axis) {
    made[2 + axis] = grid.dim(1 + axis);
    s.size[axes - 1 - axis] = x.dim(2 + axis);
    s.plane *= x.dim(2 + axis);
    s.points *= grid.dim(1 + axis);
    check(x.dim(2 + axis) > 0, "x has shape ", x.shape(), "; there is nothing to look at");
  }
  check(s.plane <= std::numeric_limits<int32_t>::max(), "x has shape ", x.shape(), ", which is too large");
  s.y = output.alloc(made);
  if (made.count() == 0) return;
  s.x = x.data();
  s.grid = grid.data();
  s.channels = x.dim(1);
  s.align_corners = align_corners;
  const int64_t images = x.dim(0);
  if (taps == 4) sample<2, 4>(ctx, s, images, padding);
  else if (axes == 2) taps == 1 ? sample<2, 1>(ctx, s, images, padding) : sample<2, 2>(ctx, s, images, padding);
  else taps == 1 ? sample<3, 1>(ctx, s, images, padding) : sample<3, 2>(ctx, s, images, padding);
}
