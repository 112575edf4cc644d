// What the operators are measured with and against: the processor's peak, the memory's, and a
// deformable convolution the way MMDeploy makes one, im2col and three plain loops.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

namespace {

typedef float Lanes __attribute__((vector_size(32)));

// Twelve sums that do not wait for one another: 192 operations a round with vectors of 8.
float multiply_and_add(int64_t rounds) {
  Lanes sums[12] = {};
  const Lanes a = Lanes{} + 0.5f, b = Lanes{} + 1.0f;
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) sums[k] += static_cast<float>(k);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int k = 0; k < 12; ++k) sums[k] = sums[k] * a + b;
  }
  float total = 0;
#pragma GCC unroll 12
  for (int k = 0; k < 12; ++k) total += sums[k][0];
  return total;
}

template <class Body>
void on_threads(int threads, const Body& body) {
  std::vector<std::thread> others;
  for (int i = 1; i < threads; ++i) others.emplace_back(body, i);
  body(0);
  for (std::thread& other : others) other.join();
}

float interpolate(const float* picture, int64_t height, int64_t width, float y, float x) {
  if (y <= -1 || y >= height || x <= -1 || x >= width) return 0;
  const auto top = static_cast<int64_t>(std::floor(y)), left = static_cast<int64_t>(std::floor(x));
  const float down = y - top, right = x - left;
  const auto pixel = [&](int64_t row, int64_t column) {
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? picture[row * width + column] : 0.0f;
  };
  return (1 - down) * (1 - right) * pixel(top, left) + (1 - down) * right * pixel(top, left + 1) +
         down * (1 - right) * pixel(top + 1, left) + down * right * pixel(top + 1, left + 1);
}

}  // namespace

extern "C" {

// Returns how many floating-point operations were made.
double peak(int64_t rounds, int64_t threads) {
  std::vector<float> results(static_cast<size_t>(threads));
  on_threads(static_cast<int>(threads), [&](int i) { results[static_cast<size_t>(i)] = multiply_and_add(rounds); });
  return results[0] < 0 ? 0 : 192.0 * rounds * threads;
}

// Copies, each thread its part.
void copy(float* to, const float* from, int64_t count, int64_t threads) {
  on_threads(static_cast<int>(threads), [&](int i) {
    const int64_t begin = count * i / threads, end = count * (i + 1) / threads;
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin) * sizeof(float));
  });
}

// A 3x3 kernel with padding 1: columns first, then the product, as three nested loops.
void deform_conv2d(const float* input, const float* weight, const float* offset, const float* mask, float* output,
                   int64_t channels, int64_t outputs, int64_t height, int64_t width) {
  const int64_t pixels = height * width, depth = channels * 9;
  std::vector<float> columns(static_cast<size_t>(depth * pixels));
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t tap = 0; tap < 9; ++tap)
      for (int64_t row = 0; row < height; ++row)
        for (int64_t column = 0; column < width; ++column) {
          const int64_t at = row * width + column;
          const float y = row - 1 + tap / 3 + offset[2 * tap * pixels + at];
          const float x = column - 1 + tap % 3 + offset[(2 * tap + 1) * pixels + at];
          columns[static_cast<size_t>((c * 9 + tap) * pixels + at)] =
              mask[tap * pixels + at] * interpolate(input + c * pixels, height, width, y, x);
        }
  for (int64_t o = 0; o < outputs; ++o)
    for (int64_t p = 0; p < pixels; ++p) {
      float sum = 0;
      for (int64_t k = 0; k < depth; ++k) sum += weight[o * depth + k] * columns[static_cast<size_t>(k * pixels + p)];
      output[o * pixels + p] = sum;
    }
}

}  // extern "C"
