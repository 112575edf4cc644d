// Regions of feature maps, pooled to one size. All samples of a bin are a weighted sum of rows,
// and then of columns: the weights are worked out once a region, and serve all channels.
#include <modelport/kernel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

namespace {

template <class A>
struct Extent {
  A begin, step, samples;  // where the first bin begins, a bin's size, samples in it
};

// Without fused operations: a size that is a whole number must not be rounded up to the next one.
template <class A>
__attribute__((optimize("fp-contract=off"))) Extent<A> extent(A begin, A end, A scale, int64_t bins,
                                                              int64_t sampling_ratio, bool aligned) {
  const A offset = aligned ? A(0.5) : A(0);
  const A first = begin * scale - offset;
  A whole = (end * scale - offset) - first;
  if (!aligned && whole < 1) whole = 1;
  const A step = whole / static_cast<A>(bins);
  const A samples = sampling_ratio > 0 ? static_cast<A>(sampling_ratio) : std::max(std::ceil(step), A(0));
  return {first, step, samples};
}

// The elements along an axis that each bin is a weighted sum of.
template <class A>
class Bins {
 public:
  void fill(const Extent<A>& e, int64_t bins, int64_t size) {
    bins_.assign(static_cast<size_t>(bins), {});
    weights_.clear();
    low_ = size;
    high_ = -1;
    for (int64_t bin = 0; bin < bins; ++bin) add(e, bin, size);
  }

  struct Bin {
    int64_t first = 0, count = 0;
    size_t weights = 0;
  };
  const Bin& operator[](int64_t bin) const { return bins_[static_cast<size_t>(bin)]; }
  const A* weights(const Bin& bin) const { return weights_.data() + bin.weights; }
  int64_t low() const { return low_; }
  int64_t span() const { return high_ < low_ ? 0 : high_ - low_ + 1; }

 private:
  void add(const Extent<A>& e, int64_t bin, int64_t size) {
    const A begin = e.begin + static_cast<A>(bin) * e.step;
    const A last = static_cast<A>(size - 1);
    // Only samples that may lie inside: a region may be far larger than the image.
    const double between = static_cast<double>(e.step) / static_cast<double>(e.samples);
    double from = 0, to = static_cast<double>(e.samples) - 1;
    if (between != 0) {
      const double a = (-1.0 - static_cast<double>(begin)) / between,
                   b = (static_cast<double>(size) - static_cast<double>(begin)) / between;
      from = std::max(from, std::floor(std::min(a, b)) - 2);
      to = std::min(to, std::ceil(std::max(a, b)) + 2);
    }
    int64_t low = size, high = -1;
    samples_.clear();
    for (double i = from; i <= to; ++i) {
      const A place = begin + (static_cast<A>(i) + A(0.5)) * e.step / e.samples;
      if (!(place >= -1 && place <= static_cast<A>(size))) continue;
      const A inside = std::min(std::max(place, A(0)), last);
      samples_.push_back(inside);
      const auto at = static_cast<int64_t>(inside);
      low = std::min(low, at);
      high = std::max(high, std::min(at + 1, size - 1));
    }
    if (high < low) return;
    Bin& made = bins_[static_cast<size_t>(bin)];
    made = {low, high - low + 1, weights_.size()};
    weights_.resize(weights_.size() + static_cast<size_t>(made.count), A(0));
    A* weights = weights_.data() + made.weights;
    for (const A inside : samples_) {
      const auto at = static_cast<int64_t>(inside);
      const A part = inside - static_cast<A>(at);
      weights[at - low] += A(1) - part;
      weights[std::min(at + 1, size - 1) - low] += part;
    }
    low_ = std::min(low_, low);
    high_ = std::max(high_, high);
  }

  std::vector<Bin> bins_;
  std::vector<A> weights_, samples_;
  int64_t low_ = 0, high_ = -1;
};

template <class T, class A>
void pool(const T* plane, int64_t width, const Bins<A>& rows, const Bins<A>& columns, int64_t pooled_height,
          int64_t pooled_width, A share, A* sums, T* to) {
  const int64_t span = columns.span();
  for (int64_t ph = 0; ph < pooled_height; ++ph) {
    const auto& bin = rows[ph];
    const A* weights = rows.weights(bin);
    const T* from = plane + bin.first * width + columns.low();
    for (int64_t i = 0; i < span; ++i) sums[i] = 0;
    for (int64_t row = 0; row < bin.count; ++row, from += width) {
      const A weight = weights[row] * share;
      for (int64_t i = 0; i < span; ++i) sums[i] += weight * static_cast<A>(from[i]);
    }
    for (int64_t pw = 0; pw < pooled_width; ++pw, ++to) {
      const auto& column = columns[pw];
      const A *across = columns.weights(column), *seen = sums + (column.first - columns.low());
      A sum = 0;
      for (int64_t i = 0; i < column.count; ++i) sum += across[i] * seen[i];
      *to = static_cast<T>(sum);
    }
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
  const int64_t images = x.dim(0), channels = x.dim(1), height = x.dim(2), width = x.dim(3), regions = rois.dim(0);
  check(height > 0 && width > 0, "x has shape ", x.shape(), "; there is nothing to look at");
  T* y = output.alloc({regions, channels, pooled_height, pooled_width});
  const auto value = [&](int64_t region, int64_t column) { return static_cast<A>(rois[region * 5 + column]); };
  for (int64_t region = 0; region < regions; ++region) {
    const A image = value(region, 0);
    check(image >= 0 && image < static_cast<A>(images), "region ", region, " is of image ", image, "; there are ",
          images);
    // Beyond, samples could no longer be counted.
    constexpr double most = 1 << 30;
    for (int64_t i = 1; i < 5; ++i)
      check(std::fabs(static_cast<double>(value(region, i)) * spatial_scale) < most, "region ", region,
            " has a corner at ", value(region, i), ", far from any image");
  }
  ctx.parallel_for(regions * channels, 16, [&](int64_t begin, int64_t end) {
    Bins<A> rows, columns;
    std::vector<A> sums(static_cast<size_t>(width));
    A share = 0;
    for (int64_t item = begin; item < end; ++item) {
      const int64_t region = item / channels;
      if (item == begin || item % channels == 0) {
        const auto scale = static_cast<A>(spatial_scale);
        const auto across = extent(value(region, 1), value(region, 3), scale, pooled_width, sampling_ratio, aligned);
        const auto down = extent(value(region, 2), value(region, 4), scale, pooled_height, sampling_ratio, aligned);
        rows.fill(down, pooled_height, height);
        columns.fill(across, pooled_width, width);
        share = A(1) / std::max(down.samples * across.samples, A(1));
      }
      const int64_t plane = static_cast<int64_t>(value(region, 0)) * channels + item % channels;
      pool(x.data() + plane * height * width, width, rows, columns, pooled_height, pooled_width, share, sums.data(),
           y + item * pooled_height * pooled_width);
    }
  });
}
