// Bicubic resize: every pixel is a weighted sum of 4 by 4 neighbours.
#include <modelport/kernel.h>

#include <algorithm>
#include <cmath>

namespace {

// Keys' cubic convolution kernel with a = -0.75, at a distance from 0 to 2.
float weight(float distance) {
  const float d = std::fabs(distance);
  if (d <= 1) return (1.25f * d - 2.25f) * d * d + 1;
  return ((-0.75f * d + 3.75f) * d - 6) * d + 3;
}

struct Look {
  int64_t index[4];
  float weights[4];
  Look(int64_t place, int64_t size, float scale) {
    const float source = (static_cast<float>(place) + 0.5f) / scale - 0.5f, low = std::floor(source);
    for (int tap = 0; tap < 4; ++tap) {
      index[tap] = std::clamp(static_cast<int64_t>(low) + tap - 1, int64_t{0}, size - 1);
      weights[tap] = weight(source - low - static_cast<float>(tap - 1));
    }
  }
};

}  // namespace

void DynamicTRTResize(Context& ctx, In<float, 4> x, In<float, 1> scales, Out<float> y) {
  check(scales.size() == 2, "there are ", scales.size(), " scales; there must be 2");
  check(scales[0] > 0 && scales[1] > 0, "the scales are ", scales[0], " and ", scales[1], "; they must be above 0");
  const int64_t height = x.dim(2), width = x.dim(3);
  const auto out_height = static_cast<int64_t>(static_cast<double>(height) * scales[0]);
  const auto out_width = static_cast<int64_t>(static_cast<double>(width) * scales[1]);
  check(out_height > 0 && out_width > 0, "nothing is left of ", x.shape());
  float* to = y.alloc({x.dim(0), x.dim(1), out_height, out_width});
  ctx.parallel_for(x.dim(0) * x.dim(1) * out_height, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Look down(row % out_height, height, scales[0]);
      const float* plane = x.data() + row / out_height * height * width;
      for (int64_t column = 0; column < out_width; ++column) {
        const Look across(column, width, scales[1]);
        float sum = 0;
        for (int j = 0; j < 4; ++j)
          for (int i = 0; i < 4; ++i)
            sum += down.weights[j] * across.weights[i] * plane[down.index[j] * width + across.index[i]];
        to[row * out_width + column] = sum;
      }
    }
  });
}
