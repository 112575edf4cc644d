// A thread a query; the points of its cloud pass by in shared memory. The neighbours found so far
// lie in memory as [nsample, queries], so that the threads of a warp read them together.
#include "clouds.h"

#include <limits>

namespace {

constexpr int threads = 128;

__device__ float square_sum(float x, float y, float z) {
  return __fadd_rn(__fadd_rn(__fmul_rn(x, x), __fmul_rn(y, y)), __fmul_rn(z, z));
}
__device__ double square_sum(double x, double y, double z) {
  return __dadd_rn(__dadd_rn(__dmul_rn(x, x), __dmul_rn(y, y)), __dmul_rn(z, z));
}

template <class T>
__global__ void search(const T* points, const T* queries, Cloud cloud, int64_t nsample, T* squares, int32_t* places,
                       int32_t* idx, T* dist, T most, T infinite) {
  __shared__ T tile[threads * 3];
  const int64_t count = cloud.query_end - cloud.query_begin;
  const int64_t own = blockIdx.x * static_cast<int64_t>(threads) + threadIdx.x, query = cloud.query_begin + own;
  const bool active = own < count;
  T x = 0, y = 0, z = 0, worst = most;
  if (active) x = queries[query * 3], y = queries[query * 3 + 1], z = queries[query * 3 + 2];
  int64_t found = 0;
  for (int64_t begin = cloud.begin; begin < cloud.end; begin += threads) {
    const int64_t here = cloud.end - begin < threads ? cloud.end - begin : threads;
    __syncthreads();
    for (int64_t i = threadIdx.x; i < here * 3; i += threads) tile[i] = points[begin * 3 + i];
    __syncthreads();
    if (!active) continue;
    for (int64_t i = 0; i < here; ++i) {
      const T square = square_sum(x - tile[i * 3], y - tile[i * 3 + 1], z - tile[i * 3 + 2]);
      // Points come in the order of their index: a later one at the same distance comes after.
      if (!(square <= most) || (found == nsample && !(square < worst))) continue;
      int64_t at = found < nsample ? found++ : nsample - 1;
      for (; at > 0 && squares[(at - 1) * count + own] > square; --at) {
        squares[at * count + own] = squares[(at - 1) * count + own];
        places[at * count + own] = places[(at - 1) * count + own];
      }
      squares[at * count + own] = square;
      places[at * count + own] = static_cast<int32_t>(begin + i);
      if (found == nsample) worst = squares[(nsample - 1) * count + own];
    }
  }
  if (!active) return;
  for (int64_t i = 0; i < nsample; ++i) {
    idx[query * nsample + i] = i < found ? places[i * count + own] : -1;
    dist[query * nsample + i] = i < found ? sqrt(squares[i * count + own]) : infinite;
  }
}

}  // namespace

template <class T>
void knn_query(Context& ctx, In<T, 2> xyz, HostIn<int32_t, 1> offset, Opt<T, 2> new_xyz, HostOpt<int32_t, 1> new_offset,
               Out<int32_t> idx, Out<T> dist, int64_t nsample) {
  const int64_t total = new_xyz ? new_xyz.dim(0) : xyz.dim(0);
  check(nsample >= 1, "nsample is ", nsample, "; it must be 1 or more");
  // By the number of all queries, which does not depend on where clouds end.
  T* squares = ctx.scratch<T>(total * nsample);
  int32_t* places = ctx.scratch<int32_t>(total * nsample);
  const auto clouds = clouds_of(xyz, offset, new_xyz, new_offset, nsample);
  const T* queries = new_xyz ? new_xyz.data() : xyz.data();
  int32_t* indices = idx.alloc({total, nsample});
  T* distances = dist.alloc({total, nsample});
  for (const Cloud& cloud : clouds) {
    const int64_t count = cloud.query_end - cloud.query_begin;
    if (count == 0) continue;
    ctx.launch_grid(search<T>, dim3(static_cast<unsigned>((count + threads - 1) / threads)), threads, xyz.data(),
                    queries, cloud, nsample, squares, places, indices, distances, std::numeric_limits<T>::max(),
                    std::numeric_limits<T>::infinity());
  }
}
