// The same on a GPU: a thread for each pixel.
#include <modelport/kernel.h>

namespace {

__device__ float weight(float distance) {
  const float d = fabsf(distance);
  if (d <= 1) return (1.25f * d - 2.25f) * d * d + 1;
  return ((-0.75f * d + 3.75f) * d - 6) * d + 3;
}

struct Sizes {
  int64_t planes, height, width, out_height, out_width;
  float down, across;
};

struct Look {
  int64_t index[4];
  float weights[4];
  __device__ Look(int64_t place, int64_t size, float scale) {
    const float source = (static_cast<float>(place) + 0.5f) / scale - 0.5f, low = floorf(source);
    for (int tap = 0; tap < 4; ++tap) {
      const int64_t at = static_cast<int64_t>(low) + tap - 1;
      index[tap] = at < 0 ? 0 : at < size ? at : size - 1;
      weights[tap] = weight(source - low - static_cast<float>(tap - 1));
    }
  }
};

__global__ void resize(const float* x, float* y, Sizes s) {
  const int64_t count = s.planes * s.out_height * s.out_width, step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; i < count; i += step) {
    const Look rows(i / s.out_width % s.out_height, s.height, s.down), columns(i % s.out_width, s.width, s.across);
    const float* plane = x + i / (s.out_width * s.out_height) * s.height * s.width;
    float sum = 0;
    for (int v = 0; v < 4; ++v)
      for (int u = 0; u < 4; ++u)
        sum += rows.weights[v] * columns.weights[u] * plane[rows.index[v] * s.width + columns.index[u]];
    y[i] = sum;
  }
}

}  // namespace

// HostIn: the scales are read here, on the CPU, as they decide the size of the output.
void DynamicTRTResize(Context& ctx, In<float, 4> x, HostIn<float, 1> scales, Out<float> y) {
  check(scales.size() == 2, "there are ", scales.size(), " scales; there must be 2");
  check(scales[0] > 0 && scales[1] > 0, "the scales are ", scales[0], " and ", scales[1], "; they must be above 0");
  const int64_t height = x.dim(2), width = x.dim(3);
  const auto out_height = static_cast<int64_t>(static_cast<double>(height) * scales[0]);
  const auto out_width = static_cast<int64_t>(static_cast<double>(width) * scales[1]);
  check(out_height > 0 && out_width > 0, "nothing is left of ", x.shape());
  float* to = y.alloc({x.dim(0), x.dim(1), out_height, out_width});
  const Sizes sizes{x.dim(0) * x.dim(1), height, width, out_height, out_width, scales[0], scales[1]};
  ctx.launch(resize, sizes.planes * out_height * out_width, x.data(), to, sizes);
}
