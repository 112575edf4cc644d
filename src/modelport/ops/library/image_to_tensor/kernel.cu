// Two kernels for a convolution, the rows into bytes and the columns through the table; one for the
// others. Every thread makes its own weights: they are few against the bytes that they weigh.
#include <modelport/kernel.h>

#include "plan.h"

namespace {

struct Pictures {
  const uint8_t* pixels;
  const float* table;
  float* output;
  int64_t count, channels;
  bool reverse;
};

__device__ int64_t first_thread() { return blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x; }
__device__ int64_t all_threads() { return static_cast<int64_t>(gridDim.x) * blockDim.x; }

__device__ void put(const Pictures& pictures, const Plan& plan, int64_t picture, int64_t row, int64_t column, int64_t c,
                    uint8_t byte) {
  const int64_t channel = pictures.reverse ? pictures.channels - 1 - c : c;
  const int64_t y = plan.rows.margin + row, x = plan.columns.margin + column;
  pictures.output[((picture * pictures.channels + channel) * plan.rows.made + y) * plan.columns.made + x] =
      pictures.table[channel * 256 + byte];
}

// The weighted sum of bytes that lie `step` apart, as a byte.
__device__ uint8_t convolve(Filter filter, const Window& window, const uint8_t* from, int64_t step) {
  double sum = 0;
  for (int64_t tap = 0; tap < window.count; ++tap) sum += weight_at(filter, window, tap);
  int32_t made = 0;
  for (int64_t tap = 0; tap < window.count; ++tap)
    made += whole(weight_at(filter, window, tap) / sum) * static_cast<int32_t>(from[tap * step]);
  return byte_of(made);
}

__global__ void convolve_rows(Pictures pictures, Plan plan, Filter filter, uint8_t* rows, int64_t count) {
  const int64_t kept = plan.columns.kept, channels = pictures.channels;
  for (int64_t index = first_thread(); index < count; index += all_threads()) {
    const int64_t c = index % channels, column = index / channels % kept, row = index / channels / kept;
    const Window window = window_of(filter, plan.columns, column);
    rows[index] =
        convolve(filter, window, pictures.pixels + (row * plan.columns.inputs + window.first) * channels + c, channels);
  }
}

__global__ void convolve_columns(Pictures pictures, Plan plan, Filter filter, const uint8_t* rows, int64_t count) {
  const int64_t width = plan.columns.kept * pictures.channels;
  for (int64_t index = first_thread(); index < count; index += all_threads()) {
    const int64_t inside = index % width, row = index / width % plan.rows.kept;
    const int64_t picture = index / width / plan.rows.kept;
    const Window window = window_of(filter, plan.rows, row);
    const uint8_t* from = rows + (picture * plan.rows.inputs + window.first) * width + inside;
    const uint8_t byte = convolve(filter, window, from, width);
    put(pictures, plan, picture, row, inside / pictures.channels, inside % pictures.channels, byte);
  }
}

__global__ void interpolate(Pictures pictures, Plan plan, Filter filter, int64_t count) {
  const int64_t channels = pictures.channels;
  const int taps = filter == Filter::bilinear ? 2 : 4;
  for (int64_t index = first_thread(); index < count; index += all_threads()) {
    const int64_t c = index % channels, column = index / channels % plan.columns.kept;
    const int64_t row = index / channels / plan.columns.kept % plan.rows.kept;
    const int64_t picture = index / channels / plan.columns.kept / plan.rows.kept;
    const Taps across = taps_of(filter, plan.columns, column), down = taps_of(filter, plan.rows, row);
    const uint8_t* from = pictures.pixels + picture * plan.rows.inputs * plan.columns.inputs * channels + c;
    float sum = 0;
    for (int i = 0; i < taps; ++i) {
      const uint8_t* line = from + clamped(down.first + i, plan.rows.inputs) * plan.columns.inputs * channels;
      float stretched = 0;
      for (int j = 0; j < taps; ++j)
        stretched += times(static_cast<float>(line[clamped(across.first + j, plan.columns.inputs) * channels]),
                           across.weights[j]);
      sum += times(stretched, down.weights[i]);
    }
    put(pictures, plan, picture, row, column, c, static_cast<uint8_t>(fminf(fmaxf(rintf(sum), 0.0f), 255.0f)));
  }
}

// Pillow adds the steps up, which is not quite the same as multiplying: one thread an axis.
__global__ void add_steps(Plan plan, int64_t* rows, int64_t* columns) {
  const Axis axis = threadIdx.x == 0 ? plan.rows : plan.columns;
  int64_t* index = threadIdx.x == 0 ? rows : columns;
  const double step = static_cast<double>(axis.inputs) / static_cast<double>(axis.full);
  double place = times(step, 0.5);
  for (int64_t i = 0; i < axis.skipped + axis.kept; ++i, place += step)
    if (i >= axis.skipped) index[i - axis.skipped] = clamped(static_cast<int64_t>(place), axis.inputs);
}

__global__ void pick(Pictures pictures, Plan plan, const int64_t* rows, const int64_t* columns, int64_t count) {
  const int64_t channels = pictures.channels;
  for (int64_t index = first_thread(); index < count; index += all_threads()) {
    const int64_t c = index % channels, column = index / channels % plan.columns.kept;
    const int64_t row = index / channels / plan.columns.kept % plan.rows.kept;
    const int64_t picture = index / channels / plan.columns.kept / plan.rows.kept;
    const int64_t line = picture * plan.rows.inputs + rows[row];
    put(pictures, plan, picture, row, column, c,
        pictures.pixels[(line * plan.columns.inputs + columns[column]) * channels + c]);
  }
}

__global__ void fill_planes(Pictures pictures, int64_t plane, int64_t fill, int64_t count) {
  for (int64_t index = first_thread(); index < count; index += all_threads())
    pictures.output[index] = pictures.table[index / plane % pictures.channels * 256 + fill];
}

}  // namespace

void image_to_tensor(Context& ctx, In<uint8_t> image, In<float, 2> table, Out<float> output, Span<int64_t> size,
                     std::string_view fit, Span<int64_t> crop, std::string_view mode, bool antialias, int64_t fill,
                     bool reverse) {
  const Job job = read_job(image, table, size, fit, crop, mode, fill);
  const int64_t count = job.pictures, height = job.height, channels = job.channels;
  const Filter filter = job.filter;
  const Plan plan = job.plan;
  float* made = output.alloc({count, channels, plan.rows.made, plan.columns.made});
  const Pictures pictures{image.data(), table.data(), made, count, channels, reverse};
  const int64_t plane = plan.rows.made * plan.columns.made;
  if (plan.rows.kept * plan.columns.kept < plane)
    ctx.launch(fill_planes, count * channels * plane, pictures, plane, fill, count * channels * plane);
  const int64_t kept = count * plan.rows.kept * plan.columns.kept * channels;
  if (filter == Filter::nearest) {
    auto* rows = ctx.scratch<int64_t>(plan.rows.kept);
    auto* columns = ctx.scratch<int64_t>(plan.columns.kept);
    ctx.launch_grid(add_steps, dim3(1), 2, plan, rows, columns);
    ctx.launch(pick, kept, pictures, plan, rows, columns, kept);
  } else if (antialias) {
    const int64_t bytes = count * height * plan.columns.kept * channels;
    auto* rows = ctx.scratch<uint8_t>(bytes);
    ctx.launch(convolve_rows, bytes, pictures, plan, filter, rows, bytes);
    ctx.launch(convolve_columns, kept, pictures, plan, filter, rows, kept);
  } else {
    ctx.launch(interpolate, kept, pictures, plan, filter, kept);
  }
}
