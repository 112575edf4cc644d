// Ranks by counting, a matrix of bits of who covers whom, and one block that goes through its rows.
#include <modelport/kernel.h>

#include <cmath>

namespace {

constexpr int word = 64;

__device__ float product(float a, float b) { return __fmul_rn(a, b); }
__device__ double product(double a, double b) { return __dmul_rn(a, b); }

template <class S>
struct Box {
  S left, top, right, bottom;
  __device__ S area() const { return product(right - left, bottom - top); }
};

// A box's rank is the number of boxes before it: of higher score, or of the same and before it.
template <class T, class S>
__global__ void rank_boxes(const T* boxes, const T* scores, Box<S>* ordered, int64_t* order, int64_t count) {
  const int64_t box = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (box >= count) return;
  const S own = static_cast<S>(scores[box]);
  const bool own_nan = own != own;
  int64_t rank = 0;
  for (int64_t i = 0; i < count; ++i) {
    const S score = static_cast<S>(scores[i]);
    const bool nan = score != score, equal = score == own || (nan && own_nan);
    rank += equal ? i < box : score > own || (nan && !own_nan);
  }
  const T* at = boxes + box * 4;
  ordered[rank] = {static_cast<S>(at[0]), static_cast<S>(at[1]), static_cast<S>(at[2]), static_cast<S>(at[3])};
  order[rank] = box;
}

// Bit j of word w of row i: box i covers box 64 * w + j, which comes after it.
template <class S>
__global__ void compare(const Box<S>* boxes, unsigned long long* rows, int64_t count, int64_t words, S threshold) {
  const int64_t index = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (index >= count * words) return;
  const int64_t row = index / words, first = index % words * word;
  const Box<S> own = boxes[row];
  unsigned long long bits = 0;
  for (int64_t j = first > row ? 0 : row + 1 - first; j < word && first + j < count; ++j) {
    const Box<S> other = boxes[first + j];
    const S width = fmin(own.right, other.right) - fmax(own.left, other.left);
    const S height = fmin(own.bottom, other.bottom) - fmax(own.top, other.top);
    const S shared = width > 0 && height > 0 ? product(width, height) : S(0);
    if (shared / (own.area() + other.area() - shared) > threshold) bits |= 1ull << j;
  }
  rows[index] = bits;
}

__global__ void choose(const unsigned long long* rows, unsigned long long* covered, const int64_t* order,
                       int64_t* chosen, int64_t* total, int64_t count, int64_t words) {
  for (int64_t w = threadIdx.x; w < words; w += blockDim.x) covered[w] = 0;
  __syncthreads();
  int64_t kept = 0;
  for (int64_t row = 0; row < count; ++row) {
    if (covered[row / word] >> (row % word) & 1) continue;  // the same for all threads
    if (threadIdx.x == 0) chosen[kept] = order[row];
    ++kept;
    __syncthreads();
    for (int64_t w = row / word + threadIdx.x; w < words; w += blockDim.x) covered[w] |= rows[row * words + w];
    __syncthreads();
  }
  if (threadIdx.x == 0) *total = kept;
}

dim3 blocks_of(int64_t threads) { return dim3(static_cast<unsigned>((threads + 255) / 256)); }

}  // namespace

template <class T>
void nms(Context& ctx, In<T, 2> boxes, In<T, 1> scores, Out<int64_t> output, double iou_threshold) {
  using S = std::conditional_t<(sizeof(T) < 4), float, T>;
  const int64_t count = boxes.dim(0), words = (count + word - 1) / word;
  check(boxes.dim(1) == 4 && scores.dim(0) == count, "boxes are [n, 4] and scores [n]; they have ", boxes.shape(),
        " and ", scores.shape());
  check(iou_threshold >= 0 && iou_threshold <= 1, "the threshold is ", iou_threshold, "; it lies between 0 and 1");
  if (count == 0) {
    output.alloc({0});
    return;
  }
  // x > threshold in double is x > bound in S.
  S bound = static_cast<S>(iou_threshold);
  if (static_cast<double>(bound) > iou_threshold) bound = std::nextafter(bound, S(-1));
  auto* ordered = ctx.scratch<Box<S>>(count);
  auto* order = ctx.scratch<int64_t>(count);
  auto* chosen = ctx.scratch<int64_t>(count + 1);
  auto* rows = ctx.scratch<unsigned long long>((count + 1) * words);
  ctx.launch_grid(rank_boxes<T, S>, blocks_of(count), 256, boxes.data(), scores.data(), ordered, order, count);
  ctx.launch_grid(compare<S>, blocks_of(count * words), 256, ordered, rows, count, words, bound);
  ctx.launch_grid(choose, dim3(1), 1024, rows, rows + count * words, order, chosen, chosen + count, count, words);
  const cudaStream_t stream = ctx.stream();
  int64_t total = 0;
  cudaMemcpyAsync(&total, chosen + count, sizeof total, cudaMemcpyDeviceToHost, stream);
  check(cudaStreamSynchronize(stream) == cudaSuccess, "nms failed: ", cudaGetErrorString(cudaGetLastError()));
  int64_t* to = output.alloc({total});
  cudaMemcpyAsync(to, chosen, static_cast<size_t>(total) * sizeof(int64_t), cudaMemcpyDeviceToDevice, stream);
  check(cudaGetLastError() == cudaSuccess, "nms could not be launched");
}
