// Boxes go by falling score, in blocks. Every box of a block is compared with all that were kept
// before the block, on all threads; those left over are then compared with one another, in turn.
#include <modelport/kernel.h>

#include <algorithm>
#include <cmath>
#include <vector>

MODELPORT_NOTHING_FUSED  // a tie with the threshold is one everywhere

    namespace {
  constexpr int64_t block = 512, group = 32;

  template <class S>
  struct Boxes {
    S *left, *top, *right, *bottom, *area;

    // Boxes without area, as many as fill whole groups.
    Boxes(Context& ctx, int64_t count) {
      const int64_t size = (count + group - 1) / group * group;
      S* all = ctx.scratch<S>(5 * size);
      std::fill_n(all, 5 * size, S{0});
      left = all, top = all + size, right = all + 2 * size, bottom = all + 3 * size, area = all + 4 * size;
    }

    void copy(int64_t to, const Boxes& from, int64_t at) {
      left[to] = from.left[at], top[to] = from.top[at], right[to] = from.right[at];
      bottom[to] = from.bottom[at], area[to] = from.area[at];
    }
  };

  // Whether one of the kept boxes [first, last) overlaps a box by more than the threshold.
  template <class S>
  bool is_covered(const Boxes<S>& boxes, int64_t box, const Boxes<S>& kept, int64_t first, int64_t last, S threshold) {
    using Flag = std::conditional_t<sizeof(S) == 4, int32_t, int64_t>;
    const S left = boxes.left[box], top = boxes.top[box], right = boxes.right[box], bottom = boxes.bottom[box];
    const S area = boxes.area[box];
    for (int64_t begin = first / group * group; begin < last; begin += group) {
      const S *lefts = kept.left + begin, *tops = kept.top + begin, *rights = kept.right + begin,
              *bottoms = kept.bottom + begin, *areas = kept.area + begin;
      S shared[group];
      Flag meets = 0, covers = 0;
      for (int64_t i = 0; i < group; ++i) {
        const S width = std::min(right, rights[i]) - std::max(left, lefts[i]);
        const S height = std::min(bottom, bottoms[i]) - std::max(top, tops[i]);
        const bool both = (width > 0) & (height > 0);
        shared[i] = both ? width * height : S{0};
        meets |= both ? Flag{1} : Flag{0};
      }
      if (!meets) continue;  // most groups lie elsewhere: no division
      for (int64_t i = 0; i < group; ++i)
        covers |= shared[i] / (areas[i] + area - shared[i]) > threshold ? Flag{1} : Flag{0};
      if (covers) return true;
    }
    return false;
  }

  template <class S>
  struct Scored {
    S score;
    int64_t box;

    bool operator<(const Scored& other) const {
      if (score > other.score) return true;
      if (other.score > score) return false;
      const bool nan = std::isnan(score);
      return nan == std::isnan(other.score) ? box < other.box : nan;
    }
  };

  // x > threshold in double is x > bound in S.
  template <class S>
  S bound_of(double threshold) {
    const S near = static_cast<S>(threshold);
    return static_cast<double>(near) > threshold ? std::nextafter(near, S{-1}) : near;
  }

}  // namespace

template <class T>
void nms(Context& ctx, In<T, 2> boxes, In<T, 1> scores, Out<int64_t> output, double iou_threshold) {
  using S = std::conditional_t<(sizeof(T) < 4), float, T>;
  const int64_t count = boxes.dim(0);
  check(boxes.dim(1) == 4 && scores.dim(0) == count, "boxes are [n, 4] and scores [n]; they have ", boxes.shape(),
        " and ", scores.shape());
  check(iou_threshold >= 0 && iou_threshold <= 1, "the threshold is ", iou_threshold, "; it lies between 0 and 1");
  std::vector<Scored<S>> order(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) order[static_cast<size_t>(i)] = {static_cast<S>(scores[i]), i};
  std::sort(order.begin(), order.end());
  Boxes<S> ordered(ctx, count), kept(ctx, count);
  for (int64_t i = 0; i < count; ++i) {
    const T* box = boxes.data() + order[static_cast<size_t>(i)].box * 4;
    const S left = static_cast<S>(box[0]), top = static_cast<S>(box[1]);
    const S right = static_cast<S>(box[2]), bottom = static_cast<S>(box[3]);
    ordered.left[i] = left, ordered.top[i] = top, ordered.right[i] = right, ordered.bottom[i] = bottom;
    ordered.area[i] = (right - left) * (bottom - top);
  }
  const S threshold = bound_of<S>(iou_threshold);
  std::vector<int64_t> chosen;
  for (int64_t begin = 0; begin < count; begin += block) {
    const auto known = static_cast<int64_t>(chosen.size());
    const int64_t size = std::min(block, count - begin);
    bool covered[block];
    ctx.parallel_for(size, group, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) covered[i] = is_covered(ordered, begin + i, kept, 0, known, threshold);
    });
    for (int64_t i = 0; i < size; ++i) {
      const auto next = static_cast<int64_t>(chosen.size());
      if (covered[i] || is_covered(ordered, begin + i, kept, known, next, threshold)) continue;
      kept.copy(next, ordered, begin + i);
      chosen.push_back(order[static_cast<size_t>(begin + i)].box);
    }
  }
  std::copy(chosen.begin(), chosen.end(), output.alloc({static_cast<int64_t>(chosen.size())}));
}
