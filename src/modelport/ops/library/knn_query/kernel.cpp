#include "clouds.h"
#include "tree.h"

namespace {

template <class S>
bool is_finite(const S* point) {
  return std::isfinite(point[0]) && std::isfinite(point[1]) && std::isfinite(point[2]);
}

template <class S>
struct Forest {
  std::vector<Tree<S>> trees;  // one a cloud
  std::vector<Point<S>*> points;
  std::vector<int64_t> counts;

  Forest(Context& ctx, const S* xyz, int64_t total, const std::vector<Cloud>& clouds) {
    const int64_t leaves = Tree<S>::leaves_of(total) + static_cast<int64_t>(clouds.size());
    auto* points_of_all = ctx.scratch<Point<S>>(total);
    auto* nodes = ctx.scratch<Node<S>>(2 * leaves);
    S* lanes = ctx.scratch<S>(leaves * 3 * leaf_size);
    auto* indices = ctx.scratch<int32_t>(leaves * leaf_size);
    for (const Cloud& cloud : clouds) {
      int64_t count = 0;
      Point<S>* own = points_of_all + cloud.begin;
      for (int64_t i = cloud.begin; i < cloud.end; ++i) {
        const S* point = xyz + i * 3;
        if (is_finite(point)) own[count++] = {{point[0], point[1], point[2]}, static_cast<int32_t>(i)};
      }
      trees.emplace_back(own, count, nodes, lanes, indices);
      points.push_back(own);
      counts.push_back(count);
      nodes += Tree<S>::nodes_of(count);
      lanes += Tree<S>::leaves_of(count) * 3 * leaf_size;
      indices += Tree<S>::leaves_of(count) * leaf_size;
    }
    build(ctx);
  }

 private:
  // The first nodes one after the other, until there are parts enough for all threads.
  void build(Context& ctx) {
    struct Task {
      size_t tree;
      typename Tree<S>::Part part;
    };
    std::vector<Task> tasks;
    for (size_t i = 0; i < trees.size(); ++i)
      if (counts[i]) tasks.push_back({i, trees[i].whole()});
    while (!tasks.empty() && tasks.size() < 32 && ctx.threads() != 1) {
      std::vector<Task> next(tasks.size() * 2);
      std::vector<uint8_t> splits(tasks.size());
      ctx.parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t first, int64_t last) {
        for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(last); ++i) {
          typename Tree<S>::Part children[2];
          splits[i] = trees[tasks[i].tree].split(tasks[i].part, children);
          for (size_t side = 0; side < 2; ++side) next[2 * i + side] = {tasks[i].tree, children[side]};
        }
      });
      size_t kept = 0;
      for (size_t i = 0; i < next.size(); ++i)
        if (splits[i / 2]) next[kept++] = next[i];
      next.resize(kept);
      tasks.swap(next);
    }
    ctx.parallel_for(static_cast<int64_t>(tasks.size()), 1, [&](int64_t first, int64_t last) {
      for (auto i = static_cast<size_t>(first); i < static_cast<size_t>(last); ++i)
        trees[tasks[i].tree].build(tasks[i].part);
    });
  }
};

}  // namespace

template <class T>
void knn_query(Context& ctx, In<T, 2> xyz, In<int32_t, 1> offset, Opt<T, 2> new_xyz, Opt<int32_t, 1> new_offset,
               Out<int32_t> idx, Out<T> dist, int64_t nsample) {
  const auto clouds = clouds_of(xyz, offset, new_xyz, new_offset, nsample);
  const int64_t count = new_xyz ? new_xyz.dim(0) : xyz.dim(0);
  const T* queries = new_xyz ? new_xyz.data() : xyz.data();
  int32_t* indices = idx.alloc({count, nsample});
  T* distances = dist.alloc({count, nsample});
  const Forest<T> forest(ctx, xyz.data(), xyz.dim(0), clouds);
  const auto answer = [&](const Tree<T>& tree, int64_t query, Nearest<T>& nearest) {
    nearest.clear();
    if (is_finite(queries + query * 3)) tree.search(queries + query * 3, nearest);
    nearest.write(distances + query * nsample, indices + query * nsample);
  };
  for (size_t i = 0; i < clouds.size(); ++i) {
    const Cloud& cloud = clouds[i];
    const bool own = !new_xyz && forest.counts[i] == cloud.end - cloud.begin;
    ctx.parallel_for(cloud.query_end - cloud.query_begin, 64, [&](int64_t first, int64_t last) {
      Nearest<T> nearest(nsample);
      // The points themselves go by their place in the tree: one finds what the one before found.
      for (int64_t q = first; q < last; ++q)
        answer(forest.trees[i], own ? forest.points[i][q].index : cloud.query_begin + q, nearest);
    });
  }
}
