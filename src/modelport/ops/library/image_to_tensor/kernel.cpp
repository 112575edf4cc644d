// The rows first, then the columns: a block of rows is convolved with whole weights, eight pixels at
// a time, into bytes; the convolved columns go through the table into their planes.
#include <modelport/kernel.h>

#include <array>
#include <vector>

MODELPORT_NOTHING_FUSED  // the bytes are those of the formula, on every device
#include "plan.h"

namespace {

// All windows of an axis with their whole weights, `stride` for each.
struct Weights {
  std::vector<Window> windows;
  std::vector<int32_t> values;
  int64_t stride = 0;

  Weights(Filter filter, const Axis& axis) {
    for (int64_t place = 0; place < axis.kept; ++place) {
      windows.push_back(window_of(filter, axis, place));
      stride = std::max(stride, windows.back().count);
    }
    values.resize(static_cast<size_t>(axis.kept * stride));
    std::vector<double> real(static_cast<size_t>(stride));
    for (int64_t place = 0; place < axis.kept; ++place) {
      const Window& window = windows[static_cast<size_t>(place)];
      double sum = 0;
      for (int64_t tap = 0; tap < window.count; ++tap)
        sum += real[static_cast<size_t>(tap)] = weight_at(filter, window, tap);
      for (int64_t tap = 0; tap < window.count; ++tap)
        values[static_cast<size_t>(place * stride + tap)] = whole(real[static_cast<size_t>(tap)] / sum);
    }
  }

  const int32_t* at(int64_t place) const { return values.data() + place * stride; }
};

constexpr int group = 8;  // pixels that are multiplied at once

// The weights of columns in groups, once for each channel, so that memory is read as it lies.
template <int channels>
struct Spread {
  std::vector<int64_t> first;
  std::vector<int32_t> values;
  int64_t groups = 0;

  Spread(const Weights& weights, int64_t inputs) {
    groups = (weights.stride + group - 1) / group;
    if (groups * group > inputs) groups = 0;  // a row is too short to be read in groups
    const int64_t reach = groups * group;
    values.resize(weights.windows.size() * static_cast<size_t>(reach * channels));
    for (size_t place = 0; place < weights.windows.size() && groups; ++place) {
      const Window& window = weights.windows[place];
      first.push_back(std::min(window.first, inputs - reach));
      for (int64_t tap = 0; tap < window.count; ++tap)
        for (int c = 0; c < channels; ++c)
          values[(place * static_cast<size_t>(reach) + static_cast<size_t>(window.first - first.back() + tap)) * channels +
                 static_cast<size_t>(c)] = weights.at(static_cast<int64_t>(place))[tap];
    }
  }
};

template <int channels, int rows>
void convolve_groups(const Spread<channels>& spread, const uint8_t* const* from, uint8_t* const* to) {
  constexpr int lanes = group * channels;
  const int32_t* __restrict weight = spread.values.data();
  for (size_t place = 0; place < spread.first.size(); ++place) {
    int32_t sums[rows][lanes] = {};
    const int64_t begin = spread.first[place] * channels;
    for (int64_t g = 0; g < spread.groups; ++g, weight += lanes)
      for (int row = 0; row < rows; ++row) {
        const uint8_t* __restrict pixel = from[row] + begin + g * lanes;
        for (int lane = 0; lane < lanes; ++lane) sums[row][lane] += weight[lane] * static_cast<int32_t>(pixel[lane]);
      }
    for (int row = 0; row < rows; ++row)
      for (int c = 0; c < channels; ++c) {
        int32_t sum = 0;
        for (int pixel = 0; pixel < group; ++pixel) sum += sums[row][pixel * channels + c];
        to[row][static_cast<int64_t>(place) * channels + c] = byte_of(sum);
      }
  }
}

void convolve_any(const Weights& weights, int64_t channels, const uint8_t* from, uint8_t* to) {
  for (size_t place = 0; place < weights.windows.size(); ++place) {
    const Window& window = weights.windows[place];
    const int32_t* weight = weights.at(static_cast<int64_t>(place));
    for (int64_t c = 0; c < channels; ++c) {
      int32_t sum = 0;
      for (int64_t tap = 0; tap < window.count; ++tap)
        sum += weight[tap] * static_cast<int32_t>(from[(window.first + tap) * channels + c]);
      to[static_cast<int64_t>(place) * channels + c] = byte_of(sum);
    }
  }
}

// Rows of the picture, convolved: [rows, kept * channels] from the first needed row on.
template <int channels>
void convolve_rows(Context& ctx, const Weights& weights, int64_t inputs, const uint8_t* from, int64_t count,
                   uint8_t* to) {
  constexpr int together = 2;
  const Spread<channels> spread(weights, inputs);
  const auto kept = static_cast<int64_t>(weights.windows.size());
  ctx.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
    int64_t row = begin;
    if (spread.groups)
      for (; row + together <= end; row += together) {
        const uint8_t* sources[together];
        uint8_t* targets[together];
        for (int i = 0; i < together; ++i)
          sources[i] = from + (row + i) * inputs * channels, targets[i] = to + (row + i) * kept * channels;
        convolve_groups<channels, together>(spread, sources, targets);
      }
    for (; row < end; ++row) {
      const uint8_t* source = from + row * inputs * channels;
      uint8_t* target = to + row * kept * channels;
      if (spread.groups)
        convolve_groups<channels, 1>(spread, &source, &target);
      else
        convolve_any(weights, channels, source, target);
    }
  });
}

struct Picture {
  const uint8_t* pixels;
  const float* table;
  float* output;
  int64_t channels;
  bool reverse;
};

// A row of bytes through the table, into the planes.
void look_up(const Picture& picture, const Plan& plan, const uint8_t* bytes, int64_t row) {
  const int64_t plane = plan.rows.made * plan.columns.made;
  for (int64_t c = 0; c < picture.channels; ++c) {
    const float* __restrict table = picture.table + c * 256;
    const uint8_t* __restrict from = bytes + (picture.reverse ? picture.channels - 1 - c : c);
    float* __restrict to =
        picture.output + c * plane + (plan.rows.margin + row) * plan.columns.made + plan.columns.margin;
    for (int64_t i = 0; i < plan.columns.kept; ++i) to[i] = table[from[i * picture.channels]];
  }
}

void convolved(Context& ctx, const Picture& picture, const Plan& plan, Filter filter) {
  const Weights across(filter, plan.columns), down(filter, plan.rows);
  const int64_t first = down.windows.front().first;
  const int64_t last = down.windows.back().first + down.windows.back().count;
  const int64_t width = plan.columns.kept * picture.channels, inputs = plan.columns.inputs;
  auto* rows = ctx.scratch<uint8_t>((last - first) * width);
  const uint8_t* from = picture.pixels + first * inputs * picture.channels;
  const int64_t count = last - first;
  if (picture.channels == 3)
    convolve_rows<3>(ctx, across, inputs, from, count, rows);
  else if (picture.channels == 1)
    convolve_rows<1>(ctx, across, inputs, from, count, rows);
  else
    ctx.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        convolve_any(across, picture.channels, from + row * inputs * picture.channels, rows + row * width);
    });
  ctx.parallel_for(plan.rows.kept, 8, [&](int64_t begin, int64_t end) {
    std::vector<int32_t> sums(static_cast<size_t>(width));
    std::vector<uint8_t> bytes(static_cast<size_t>(width));
    for (int64_t row = begin; row < end; ++row) {
      const Window& window = down.windows[static_cast<size_t>(row)];
      std::fill(sums.begin(), sums.end(), 0);
      int32_t* __restrict sum = sums.data();
      for (int64_t tap = 0; tap < window.count; ++tap) {
        const int32_t weight = down.at(row)[tap];
        const uint8_t* __restrict source = rows + (window.first - first + tap) * width;
        for (int64_t i = 0; i < width; ++i) sum[i] += weight * static_cast<int32_t>(source[i]);
      }
      for (int64_t i = 0; i < width; ++i) bytes[static_cast<size_t>(i)] = byte_of(sum[i]);
      look_up(picture, plan, bytes.data(), row);
    }
  });
}

template <int taps>
void stretch(const Picture& picture, const std::vector<Taps>& columns, const uint8_t* row, int64_t inputs, float* to) {
  const int64_t channels = picture.channels;
  for (const Taps& column : columns) {
    const uint8_t* from[taps];
    for (int tap = 0; tap < taps; ++tap) from[tap] = row + clamped(column.first + tap, inputs) * channels;
    for (int64_t c = 0; c < channels; ++c) {
      float sum = 0;
      for (int tap = 0; tap < taps; ++tap) sum += static_cast<float>(from[tap][c]) * column.weights[tap];
      *to++ = sum;
    }
  }
}

template <int taps>
void interpolated(Context& ctx, const Picture& picture, const Plan& plan, Filter filter) {
  std::vector<Taps> columns;
  for (int64_t i = 0; i < plan.columns.kept; ++i) columns.push_back(taps_of(filter, plan.columns, i));
  const int64_t width = plan.columns.kept * picture.channels, pitch = plan.columns.inputs * picture.channels;
  ctx.parallel_for(plan.rows.kept, 8, [&](int64_t begin, int64_t end) {
    std::vector<float> kept(static_cast<size_t>(taps * width));
    std::vector<uint8_t> bytes(static_cast<size_t>(width));
    std::array<int64_t, taps> kept_row;
    kept_row.fill(-1);
    for (int64_t row = begin; row < end; ++row) {
      const Taps down = taps_of(filter, plan.rows, row);
      const float* stretched[taps];
      for (int tap = 0; tap < taps; ++tap) {
        const int64_t needed = clamped(down.first + tap, plan.rows.inputs);
        // Rows that are needed together follow each other, and so have places of their own.
        float* place = kept.data() + needed % taps * width;
        if (kept_row[static_cast<size_t>(needed % taps)] != needed) {
          stretch<taps>(picture, columns, picture.pixels + needed * pitch, plan.columns.inputs, place);
          kept_row[static_cast<size_t>(needed % taps)] = needed;
        }
        stretched[tap] = place;
      }
      for (int64_t i = 0; i < width; ++i) {
        float sum = 0;
        for (int tap = 0; tap < taps; ++tap) sum += stretched[tap][i] * down.weights[tap];
        bytes[static_cast<size_t>(i)] = static_cast<uint8_t>(std::min(std::max(std::rint(sum), 0.0f), 255.0f));
      }
      look_up(picture, plan, bytes.data(), row);
    }
  });
}

// Pillow adds the steps up, which is not quite the same as multiplying.
std::vector<int64_t> nearest_of(const Axis& axis) {
  const double step = static_cast<double>(axis.inputs) / static_cast<double>(axis.full);
  std::vector<int64_t> index;
  double place = step * 0.5;
  for (int64_t i = 0; i < axis.skipped + axis.kept; ++i, place += step)
    if (i >= axis.skipped) index.push_back(clamped(static_cast<int64_t>(place), axis.inputs));
  return index;
}

void picked(Context& ctx, const Picture& picture, const Plan& plan) {
  const std::vector<int64_t> rows = nearest_of(plan.rows), columns = nearest_of(plan.columns);
  const int64_t channels = picture.channels, pitch = plan.columns.inputs * channels;
  ctx.parallel_for(plan.rows.kept, 8, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> bytes(static_cast<size_t>(plan.columns.kept * channels));
    for (int64_t row = begin; row < end; ++row) {
      const uint8_t* from = picture.pixels + rows[static_cast<size_t>(row)] * pitch;
      uint8_t* to = bytes.data();
      for (const int64_t column : columns)
        for (int64_t c = 0; c < channels; ++c) *to++ = from[column * channels + c];
      look_up(picture, plan, bytes.data(), row);
    }
  });
}

}  // namespace

void image_to_tensor(Context& ctx, In<uint8_t> image, In<float, 2> table, Out<float> output, Span<int64_t> size,
                     std::string_view fit, Span<int64_t> crop, std::string_view mode, bool antialias, int64_t fill,
                     bool reverse) {
  const size_t rank = image.rank();
  check(rank == 3 || rank == 4, "the picture has shape ", image.shape(), "; it is [H, W, C] or [N, H, W, C]");
  const int64_t pictures = rank == 4 ? image.dim(0) : 1;
  const int64_t height = image.dim(rank - 3), width = image.dim(rank - 2), channels = image.dim(rank - 1);
  check(table.dim(0) == channels && table.dim(1) == 256, "the table has shape ", table.shape(), "; it must be [",
        channels, ", 256]");
  check(fill >= 0 && fill <= 255, "the fill is ", fill, "; it is a byte");
  const Filter filter = filter_of(mode);
  const Plan plan = plan_of(height, width, size, fit, crop);
  float* made = output.alloc({pictures, channels, plan.rows.made, plan.columns.made});
  const int64_t plane = plan.rows.made * plan.columns.made;
  if (plan.rows.kept * plan.columns.kept < plane)
    for (int64_t i = 0; i < pictures * channels; ++i) std::fill_n(made + i * plane, plane, table[i % channels * 256 + fill]);
  for (int64_t i = 0; i < pictures; ++i) {
    const Picture picture{image.data() + i * height * width * channels, table.data(), made + i * channels * plane,
                          channels, reverse};
    if (filter == Filter::nearest)
      picked(ctx, picture, plan);
    else if (antialias)
      convolved(ctx, picture, plan, filter);
    else if (filter == Filter::bilinear)
      interpolated<2>(ctx, picture, plan, filter);
    else
      interpolated<4>(ctx, picture, plan, filter);
  }
}
