// A k-d tree of points whose leaves are full vectors, and the search in it (Friedman, Bentley and
// Finkel, An Algorithm for Finding Best Matches in Logarithmic Expected Time, 1977).
#pragma once

#include <modelport/kernel.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

// Distances are rounded as the reference rounds them, so that ties are the same ties; and those to
// a box in the same way, so that none is above that of a point in the box.
MODELPORT_NOTHING_FUSED

namespace {

constexpr int64_t leaf_size = 32;

template <class S>
struct Point {
  S at[3];
  int32_t index;
};

template <class S>
struct Vectors {
  using Index = std::conditional_t<sizeof(S) == 4, int32_t, int64_t>;
  static constexpr int64_t lanes = 32 / sizeof(S);
  typedef S real __attribute__((vector_size(32)));
  typedef Index whole __attribute__((vector_size(32)));
  typedef S place __attribute__((vector_size(4 * sizeof(S))));  // x, y, z and nothing
};

// The lanes of two neighbouring vectors, moved up by one: the last of the lower one comes first.
template <class V>
V moved_up(V lower, V upper) {
  if constexpr (sizeof(upper[0]) == 4) return __builtin_shufflevector(lower, upper, 7, 8, 9, 10, 11, 12, 13, 14);
  else return __builtin_shufflevector(lower, upper, 3, 4, 5, 6);
}

template <class S>
struct Node {
  typename Vectors<S>::place low, high;
  int32_t first_index;  // the lowest index in it
  int32_t leaf;         // of a leaf: which one; else -1
  int32_t right;        // the right child; the left one comes next
};

// The neighbours found so far, by distance, then by index.
template <class S>
class Nearest {
 public:
  using Index = typename Vectors<S>::Index;

  explicit Nearest(int64_t wanted)
      : wanted_(wanted), vectors_((wanted + Vectors<S>::lanes - 1) / Vectors<S>::lanes),
        squares_(static_cast<size_t>(vectors_) + 1), indices_(static_cast<size_t>(vectors_) + 1) {}

  void clear() {
    // Below all that is found stands what nothing moves; a distance that is not finite is none.
    squares_[0] = typename Vectors<S>::real{} - 1;
    for (int64_t i = 1; i <= vectors_; ++i) {
      squares_[static_cast<size_t>(i)] = typename Vectors<S>::real{} + most;
      indices_[static_cast<size_t>(i)] = typename Vectors<S>::whole{} + none;
    }
    worst = most, worst_index = none;
  }

  bool takes(S square, Index index) const { return square < worst || (square == worst && index < worst_index); }

  // Every lane takes its own value, the new one, or that of the lane below: nothing depends on where
  // the new one belongs.
  void insert(S square, Index index) {
    auto *squares = squares_.data(), upper = squares[vectors_];
    auto *indices = indices_.data(), upper_index = indices[vectors_];
    const auto new_square = typename Vectors<S>::real{} + square;
    const auto new_index = typename Vectors<S>::whole{} + index;
    for (int64_t i = vectors_; i > 0; --i) {
      const auto lower = squares[i - 1];
      const auto lower_index = indices[i - 1];
      const auto below = moved_up(lower, upper);
      const auto below_index = moved_up(lower_index, upper_index);
      const auto from_below = (below > square) | ((below == square) & (below_index > index));
      const auto stays = (upper < square) | ((upper == square) & (upper_index < index));
      squares[i] = from_below ? below : stays ? upper : new_square;
      indices[i] = from_below ? below_index : stays ? upper_index : new_index;
      upper = lower, upper_index = lower_index;
    }
    worst = this->square(wanted_ - 1), worst_index = this->index(wanted_ - 1);
  }

  // Writes them as distances; what is missing is -1, infinitely far away.
  void write(S* distances, int32_t* indices) const {
    for (int64_t i = 0; i < wanted_; ++i) {
      const bool found = index(i) != none;
      distances[i] = found ? std::sqrt(square(i)) : std::numeric_limits<S>::infinity();
      indices[i] = found ? static_cast<int32_t>(index(i)) : -1;
    }
  }

  S worst = most;
  Index worst_index = none;

 private:
  static constexpr S most = std::numeric_limits<S>::max();
  static constexpr Index none = std::numeric_limits<int32_t>::max();
  S square(int64_t i) const { return squares_[static_cast<size_t>(i / Vectors<S>::lanes + 1)][i % Vectors<S>::lanes]; }
  Index index(int64_t i) const {
    return indices_[static_cast<size_t>(i / Vectors<S>::lanes + 1)][i % Vectors<S>::lanes];
  }

  int64_t wanted_, vectors_;
  std::vector<typename Vectors<S>::real> squares_;
  std::vector<typename Vectors<S>::whole> indices_;
};

template <class S>
class Tree {
 public:
  // Points are put in the order of the leaves. The memory for the leaves and nodes is the caller's.
  static int64_t leaves_of(int64_t points) { return (points + leaf_size - 1) / leaf_size; }
  static int64_t nodes_of(int64_t points) { return points ? 2 * leaves_of(points) - 1 : 0; }

  Tree(Point<S>* points, int64_t count, Node<S>* nodes, S* lanes, int32_t* indices)
      : points_(points), count_(count), nodes_(nodes), lanes_(lanes), indices_(indices) {}

  // A part of the tree that is still to be built: a node, and its leaves.
  struct Part {
    int32_t node;
    int64_t first, last;
  };

  Part whole() const { return {0, 0, leaves_of(count_)}; }

  // Makes a node. Returns whether it has children, which are then the two parts.
  bool split(const Part& part, Part (&children)[2]) {
    const int64_t begin = part.first * leaf_size, end = std::min(part.last * leaf_size, count_);
    Node<S>& node = nodes_[part.node];
    enclose(node, begin, end);
    if (part.last - part.first == 1) {
      node.leaf = static_cast<int32_t>(part.first);
      fill(part.first, begin, end);
      return false;
    }
    int axis = 0;
    for (int i = 1; i < 3; ++i)
      if (node.high[i] - node.low[i] > node.high[axis] - node.low[axis]) axis = i;
    const int64_t middle = (part.first + part.last) / 2;
    std::nth_element(points_ + begin, points_ + middle * leaf_size, points_ + end,
                     [axis](const Point<S>& a, const Point<S>& b) {
                       return a.at[axis] < b.at[axis] || (a.at[axis] == b.at[axis] && a.index < b.index);
                     });
    node.leaf = -1;
    node.right = part.node + static_cast<int32_t>(2 * (middle - part.first));
    children[0] = {part.node + 1, part.first, middle};
    children[1] = {node.right, middle, part.last};
    return true;
  }

  void build(const Part& part) {
    Part children[2];
    if (!split(part, children)) return;
    build(children[0]);
    build(children[1]);
  }

  void search(const S* query, Nearest<S>& nearest) const {
    struct Later {
      int32_t node;
      S square;
    } later[64];
    int waiting = 0;
    if (count_ == 0) return;
    later[waiting++] = {0, S{0}};
    while (waiting) {
      auto [at, square] = later[--waiting];
      for (;;) {
        const Node<S>& node = nodes_[at];
        if (square > nearest.worst || (square == nearest.worst && node.first_index > nearest.worst_index)) break;
        if (node.leaf >= 0) {
          scan(node.leaf, query, nearest);
          break;
        }
        int32_t near = at + 1, far = node.right;
        S near_square = distance(near, query), far_square = distance(far, query);
        if (far_square < near_square) std::swap(near, far), std::swap(near_square, far_square);
        later[waiting++] = {far, far_square};
        at = near, square = near_square;
      }
    }
  }

 private:
  void enclose(Node<S>& node, int64_t begin, int64_t end) const {
    node.first_index = points_[begin].index;
    node.low = node.high = typename Vectors<S>::place{};
    for (int i = 0; i < 3; ++i) node.low[i] = node.high[i] = points_[begin].at[i];
    for (int64_t p = begin + 1; p < end; ++p) {
      node.first_index = std::min(node.first_index, points_[p].index);
      for (int i = 0; i < 3; ++i) {
        node.low[i] = points_[p].at[i] < node.low[i] ? points_[p].at[i] : node.low[i];
        node.high[i] = points_[p].at[i] > node.high[i] ? points_[p].at[i] : node.high[i];
      }
    }
  }

  // A leaf's points as three vectors; a distance to what fills them up is never less than another.
  void fill(int64_t leaf, int64_t begin, int64_t end) {
    S* lanes = lanes_ + leaf * 3 * leaf_size;
    std::fill_n(lanes, 3 * leaf_size, std::numeric_limits<S>::quiet_NaN());
    for (int64_t p = begin; p < end; ++p) {
      for (int64_t i = 0; i < 3; ++i) lanes[i * leaf_size + p - begin] = points_[p].at[i];
      indices_[p] = points_[p].index;
    }
  }

  S distance(int32_t at, const S* query) const {
    const Node<S>& node = nodes_[at];
    const typename Vectors<S>::place point{query[0], query[1], query[2], 0}, none{};
    const auto under = node.low - point, over = point - node.high;
    const auto gap = under > over ? under : over;
    const auto side = gap > 0 ? gap : none;
    const auto square = side * side;
    return square[0] + square[1] + square[2];
  }

  void scan(int64_t leaf, const S* query, Nearest<S>& nearest) const {
    const S* x = lanes_ + leaf * 3 * leaf_size;
    const S *y = x + leaf_size, *z = y + leaf_size;
    const int32_t* indices = indices_ + leaf * leaf_size;
    const S qx = query[0], qy = query[1], qz = query[2], worst = nearest.worst;
    alignas(64) S squares[leaf_size];
    for (int64_t i = 0; i < leaf_size; ++i) {
      const S dx = qx - x[i], dy = qy - y[i], dz = qz - z[i];
      squares[i] = dx * dx + dy * dy + dz * dz;
    }
    constexpr int64_t lanes = Vectors<S>::lanes, vectors = leaf_size / lanes;
    typename Vectors<S>::whole hits{};
    for (int64_t v = 0; v < vectors; ++v) {
      typename Vectors<S>::real some;
      std::memcpy(&some, squares + v * lanes, sizeof some);
      hits |= (some <= worst) & (typename Vectors<S>::Index{1} << v);
    }
    uint32_t left = 0;
    for (int64_t lane = 0; lane < lanes; ++lane) left |= static_cast<uint32_t>(hits[lane]) << (lane * vectors);
    for (; left; left &= left - 1) {
      const int64_t bit = __builtin_ctz(left), i = bit % vectors * lanes + bit / vectors;
      if (nearest.takes(squares[i], indices[i])) nearest.insert(squares[i], indices[i]);
    }
  }

  Point<S>* points_;
  int64_t count_;
  Node<S>* nodes_;
  S* lanes_;
  int32_t* indices_;
};

}  // namespace
