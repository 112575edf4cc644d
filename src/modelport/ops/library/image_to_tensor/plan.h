// What of the resized picture goes where, and from which rows or columns each of its own comes: the
// same on the CPU and on the GPU.
#pragma once

#include <modelport/kernel.h>

#include <algorithm>
#include <cmath>

#if defined(__CUDACC__)
#define BOTH __host__ __device__
#else
#define BOTH
#endif

namespace {

enum class Filter { nearest, bilinear, bicubic };

constexpr int bits = 22;  // behind the point of a weight

// One axis: of `full` resized rows or columns, `kept` are kept from `skipped` on, and lie in an
// output of `made` from `margin` on.
struct Axis {
  int64_t inputs, full, skipped, kept, margin, made;
};

struct Plan {
  Axis rows, columns;
};

inline Filter filter_of(std::string_view mode) {
  check(mode == "nearest" || mode == "bilinear" || mode == "bicubic", "the mode is '", mode,
        "'; it is bilinear, bicubic or nearest");
  return mode == "nearest" ? Filter::nearest : mode == "bilinear" ? Filter::bilinear : Filter::bicubic;
}

inline Axis cropped(int64_t inputs, int64_t full, int64_t crop) {
  check(crop <= full, "the crop of ", crop, " is larger than the resized picture's ", full);
  const int64_t difference = full - crop, half = difference / 2;
  return {inputs, full, half + difference % 2 * (half % 2), crop, 0, crop};
}

inline Plan plan_of(int64_t height, int64_t width, Span<int64_t> size, std::string_view fit, Span<int64_t> crop) {
  check(height > 0 && width > 0, "the picture is empty: ", height, " by ", width);
  constexpr int64_t most = int64_t{1} << 24;
  check(height < most && width < most, "the picture is too large: ", height, " by ", width);
  const bool shorter = fit == "shorter", letterbox = fit == "letterbox";
  check(shorter || letterbox || fit == "exact", "the fit is '", fit, "'; it is exact, shorter or letterbox");
  check(size.size() == (shorter ? 1u : 2u), "there are ", size.size(), " sizes; shorter takes 1, the others 2");
  check(crop.size() == 2, "the crop has ", crop.size(), " numbers; it has 2");
  const bool cut = crop[0] > 0 || crop[1] > 0;
  check(!cut || (crop[0] > 0 && crop[1] > 0 && !letterbox), "the crop is ", crop[0], " by ", crop[1],
        "; both are 0 or neither, and both for letterbox");
  for (const int64_t side : size) check(side > 0 && side < most, "a size is ", side);
  int64_t tall, wide;
  if (shorter) {
    const int64_t side = std::min(height, width);
    tall = size[0] * height / side, wide = size[0] * width / side;
  } else if (letterbox) {
    const int64_t above = std::min(size[0] * width, size[1] * height), area = height * width;
    // As a fraction, 2 * above * side could be too large for int64 where pictures are huge.
    const auto fitted = [&](int64_t side) {
      return std::max(int64_t{1}, static_cast<int64_t>((2 * static_cast<__int128>(above) * side + area) / (2 * area)));
    };
    tall = fitted(height), wide = fitted(width);
  } else {
    tall = size[0], wide = size[1];
  }
  check(tall < most && wide < most, "the resized picture is too large: ", tall, " by ", wide);
  if (cut) return {cropped(height, tall, crop[0]), cropped(width, wide, crop[1])};
  if (letterbox)
    return {{height, tall, 0, tall, (size[0] - tall) / 2, size[0]},
            {width, wide, 0, wide, (size[1] - wide) / 2, size[1]}};
  return {{height, tall, 0, tall, 0, tall}, {width, wide, 0, wide, 0, wide}};
}

// What the operator is asked for.
struct Job {
  int64_t pictures, height, width, channels;
  Filter filter;
  Plan plan;
};

inline Job read_job(const In<uint8_t>& image, const In<float, 2>& table, Span<int64_t> size, std::string_view fit,
                    Span<int64_t> crop, std::string_view mode, int64_t fill) {
  const size_t rank = image.rank();
  check(rank == 3 || rank == 4, "the picture has shape ", image.shape(), "; it is [H, W, C] or [N, H, W, C]");
  const int64_t height = image.dim(rank - 3), width = image.dim(rank - 2), channels = image.dim(rank - 1);
  check(table.dim(0) == channels && table.dim(1) == 256, "the table has shape ", table.shape(), "; it must be [",
        channels, ", 256]");
  check(fill >= 0 && fill <= 255, "the fill is ", fill, "; it is a byte");
  return {rank == 4 ? image.dim(0) : 1,           height, width, channels, filter_of(mode),
          plan_of(height, width, size, fit, crop)};
}

// A product that is rounded before it is added to anything.
BOTH inline double times(double a, double b) {
#if defined(__CUDA_ARCH__)
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}
BOTH inline float times(float a, float b) {
#if defined(__CUDA_ARCH__)
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}

// The filter at a distance of 0 or more.
BOTH inline double filter_at(Filter filter, double d) {
  if (filter == Filter::bilinear) return d < 1 ? 1 - d : 0;
  if (d < 1) return times(times(times(1.5, d) - 2.5, d), d) + 1;
  return d < 2 ? times(times(times(d - 5, d) + 8, d) - 4, -0.5) : 0;
}

// Where one row or column of a convolution reads: `count` from `first` on.
struct Window {
  double middle, inverse;
  int64_t first, count;
};

BOTH inline Window window_of(Filter filter, const Axis& axis, int64_t place) {
  const double scale = static_cast<double>(axis.inputs) / static_cast<double>(axis.full);
  const double wide = scale > 1 ? scale : 1;
  const double support = times(wide, filter == Filter::bicubic ? 2.0 : 1.0);
  const double middle = times(static_cast<double>(axis.skipped + place) + 0.5, scale);
  const double low = middle - support + 0.5;
  const auto high = static_cast<int64_t>(middle + support + 0.5);
  const int64_t first = low > 0 ? static_cast<int64_t>(low) : 0;
  return {middle, 1 / wide, first, (high < axis.inputs ? high : axis.inputs) - first};
}

BOTH inline double weight_at(Filter filter, const Window& window, int64_t tap) {
  const double away = (static_cast<double>(window.first + tap) - window.middle + 0.5) * window.inverse;
  return filter_at(filter, away < 0 ? -away : away);
}

// A weight as a whole number.
BOTH inline int32_t whole(double weight) {
  return static_cast<int32_t>(times(weight, double{1 << bits}) + (weight < 0 ? -0.5 : 0.5));
}

BOTH inline uint8_t byte_of(int32_t sum) {
  const int32_t value = (sum + (1 << (bits - 1))) >> bits;
  return static_cast<uint8_t>(value < 0 ? 0 : value > 255 ? 255 : value);
}

// Where one row or column of a plain interpolation reads: from `first` on, which may lie outside.
struct Taps {
  int64_t first;
  float weights[4];
};

BOTH inline float near_weight(float d) { return times(times(times(1.25f, d) - 2.25f, d), d) + 1; }
BOTH inline float far_weight(float d) { return times(times(times(-0.75f, d) + 3.75f, d) - 6, d) + 3; }

BOTH inline Taps taps_of(Filter filter, const Axis& axis, int64_t place) {
  const float step = static_cast<float>(axis.inputs) / static_cast<float>(axis.full);
  float source = times(static_cast<float>(axis.skipped + place) + 0.5f, step) - 0.5f;
  if (filter == Filter::bilinear && source < 0) source = 0;
  const float low = floorf(source), part = source - low;
  const auto first = static_cast<int64_t>(low);
  if (filter == Filter::bilinear) return {first, {1 - part, part, 0, 0}};
  return {first - 1, {far_weight(part + 1), near_weight(part), near_weight(1 - part), far_weight(2 - part)}};
}

BOTH inline int64_t clamped(int64_t index, int64_t size) { return index < 0 ? 0 : index >= size ? size - 1 : index; }

}  // namespace
