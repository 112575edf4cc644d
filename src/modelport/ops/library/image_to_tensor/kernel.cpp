// The rows first, then the columns: rows are convolved with whole weights, four at once, into bytes;
// the convolved columns go through the table into their planes.
#include <modelport/kernel.h>

#include <array>
#include <cstring>
#include <vector>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

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

#if defined(__AVX2__)

  constexpr int64_t beyond = 64;  // more bytes than are read behind the last one of a row
  constexpr int low_bits = 11;

  // The weights of columns as pairs of 16 bits, for `_mm256_madd_epi16`: a weight is a high part
  // times 2^11 and a low part of 11 bits. What overflows on the way is back in the sum, which fits.
  template <int channels>
  struct Spread {
    static constexpr int64_t pixels = channels == 1 ? 16 : 4;  // that are multiplied at once
    std::vector<int64_t> first, taken;  // where a place begins to read, and in how many steps
    std::vector<int16_t> values;
    int64_t steps;  // that there are weights for

    explicit Spread(const Weights& weights) : steps((weights.stride + pixels - 1) / pixels) {
      const auto places = static_cast<int64_t>(weights.windows.size());
      values.resize(static_cast<size_t>(places * steps * 32));
      for (int64_t place = 0; place < places; ++place) {
        const Window& window = weights.windows[static_cast<size_t>(place)];
        first.push_back(window.first);
        taken.push_back((window.count + pixels - 1) / pixels);
        for (int64_t tap = 0; tap < window.count; ++tap) {
          const int32_t weight = weights.at(place)[tap];
          int16_t* to = values.data() + (place * steps + tap / pixels) * 32;
          // A pair of pixels is in one lane, or in a lane for each channel.
          const int64_t pair = tap % pixels / 2, lanes = channels == 1 ? 1 : 4;
          for (int64_t lane = pair * lanes; lane < (pair + 1) * lanes; ++lane) {
            to[lane * 2 + tap % 2] = static_cast<int16_t>(weight >> low_bits);
            to[lane * 2 + tap % 2 + 16] = static_cast<int16_t>(weight & ((1 << low_bits) - 1));
          }
        }
      }
    }

    // Which bytes of four pixels are where: pairs of one channel, as 16 bits.
    static __m256i arrangement() {
      alignas(32) int8_t from[32];
      for (int at = 0; at < 32; ++at) {
        const int channel = at % 16 / 4, pixel = at / 16 * 2 + at % 4 / 2;
        from[at] = static_cast<int8_t>(at % 2 || channel >= channels ? -1 : pixel * channels + channel);
      }
      return _mm256_load_si256(reinterpret_cast<const __m256i*>(from));
    }

    static __m256i load(const uint8_t* from, __m256i arrange) {
      const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
      if (channels == 1) return _mm256_cvtepu8_epi16(bytes);
      return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), arrange);
    }

    // The bytes of the channels, the first one lowest.
    static uint32_t bytes_of(__m256i high, __m256i low) {
      const __m256i all = _mm256_add_epi32(_mm256_slli_epi32(high, low_bits), low);
      __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(all), _mm256_extracti128_si256(all, 1));
      if (channels == 1) {
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0b01001110));
        sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0b10110001));
      }
      sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(1 << (bits - 1))), bits);
      sum = _mm_packus_epi16(_mm_packs_epi32(sum, sum), sum);
      return static_cast<uint32_t>(_mm_cvtsi128_si32(sum));
    }
  };

  template <int channels, int rows>
  void convolve_steps(const Spread<channels>& spread, const uint8_t* const* from, uint8_t* const* to) {
    const __m256i arrange = Spread<channels>::arrangement();
    for (size_t place = 0; place < spread.first.size(); ++place) {
      __m256i high[rows], low[rows];
      for (int row = 0; row < rows; ++row) high[row] = low[row] = _mm256_setzero_si256();
      const int16_t* values = spread.values.data() + static_cast<int64_t>(place) * spread.steps * 32;
      const auto* weight = reinterpret_cast<const __m256i*>(values);
      int64_t at = spread.first[place] * channels;
      for (int64_t step = 0; step < spread.taken[place];
           ++step, weight += 2, at += Spread<channels>::pixels * channels) {
        const __m256i above = _mm256_loadu_si256(weight), below = _mm256_loadu_si256(weight + 1);
        for (int row = 0; row < rows; ++row) {
          const __m256i pixels = Spread<channels>::load(from[row] + at, arrange);
          high[row] = _mm256_add_epi32(high[row], _mm256_madd_epi16(pixels, above));
          low[row] = _mm256_add_epi32(low[row], _mm256_madd_epi16(pixels, below));
        }
      }
      for (int row = 0; row < rows; ++row) {
        const uint32_t bytes = Spread<channels>::bytes_of(high[row], low[row]);
        std::memcpy(to[row] + static_cast<int64_t>(place) * channels, &bytes, channels);
      }
    }
  }

  // Rows of a picture; `is_end` where the last of them is the picture's, too.
  template <int channels>
  void convolve_rows(Context & ctx, const Weights& weights, int64_t inputs, const uint8_t* from, int64_t count,
                     bool is_end, uint8_t* to) {
    constexpr int together = 4;
    const Spread<channels> spread(weights);
    const int64_t pitch = inputs * channels, made = static_cast<int64_t>(weights.windows.size()) * channels;
    // Nothing may be read behind the picture's last row: it is convolved where more lies behind it.
    std::vector<uint8_t> last;
    if (is_end) {
      last.assign(from + (count - 1) * pitch, from + count * pitch);
      last.resize(static_cast<size_t>(pitch + beyond));
    }
    const auto source = [&](int64_t row) { return is_end && row == count - 1 ? last.data() : from + row * pitch; };
    ctx.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
      const uint8_t* sources[together];
      uint8_t* targets[together];
      int64_t row = begin;
      for (; row + together <= end; row += together) {
        for (int i = 0; i < together; ++i) sources[i] = source(row + i), targets[i] = to + (row + i) * made;
        convolve_steps<channels, together>(spread, sources, targets);
      }
      for (; row < end; ++row) {
        sources[0] = source(row), targets[0] = to + row * made;
        convolve_steps<channels, 1>(spread, sources, targets);
      }
    });
  }

#endif

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

  // Bytes that lie below each other in lines, weighted and added: `fixed` of them, or `count`.
  template <int64_t fixed>
  void convolve_lines(const uint8_t* lines, int64_t pitch, const int32_t* weights, int64_t taps, int64_t count,
                      uint8_t* to) {
    constexpr int64_t most = fixed ? fixed : 32;
    if (fixed) count = fixed;
    int32_t sums[most] = {};
    for (int64_t tap = 0; tap < taps; ++tap) {
      const uint8_t* __restrict line = lines + tap * pitch;
      for (int64_t i = 0; i < count; ++i) sums[i] += weights[tap] * static_cast<int32_t>(line[i]);
    }
    for (int64_t i = 0; i < count; ++i) to[i] = byte_of(sums[i]);
  }

  // Rows of the picture, convolved: [count, kept * channels] from the first needed row on.
  void across_rows(Context & ctx, const Picture& picture, const Weights& weights, const Plan& plan, const uint8_t* from,
                   int64_t count, bool is_end, uint8_t* to) {
    const int64_t inputs = plan.columns.inputs, channels = picture.channels;
#if defined(__AVX2__)
    if (inputs * channels >= beyond) {
      switch (channels) {
        case 1: return convolve_rows<1>(ctx, weights, inputs, from, count, is_end, to);
        case 2: return convolve_rows<2>(ctx, weights, inputs, from, count, is_end, to);
        case 3: return convolve_rows<3>(ctx, weights, inputs, from, count, is_end, to);
        case 4: return convolve_rows<4>(ctx, weights, inputs, from, count, is_end, to);
      }
    }
#endif
    (void)is_end;
    ctx.parallel_for(count, 8, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        convolve_any(weights, channels, from + row * inputs * channels, to + row * plan.columns.kept * channels);
    });
  }

  void convolved(Context & ctx, const Picture& picture, const Plan& plan, Filter filter) {
    const Weights across(filter, plan.columns), down(filter, plan.rows);
    const int64_t first = down.windows.front().first;
    const int64_t last = down.windows.back().first + down.windows.back().count;
    const int64_t width = plan.columns.kept * picture.channels, inputs = plan.columns.inputs;
    auto* rows = ctx.scratch<uint8_t>((last - first) * width);
    const uint8_t* from = picture.pixels + first * inputs * picture.channels;
    const int64_t count = last - first;
    across_rows(ctx, picture, across, plan, from, count, last == plan.rows.inputs, rows);
    ctx.parallel_for(plan.rows.kept, 8, [&](int64_t begin, int64_t end) {
      std::vector<uint8_t> bytes(static_cast<size_t>(width));
      for (int64_t row = begin; row < end; ++row) {
        const Window& window = down.windows[static_cast<size_t>(row)];
        const uint8_t* lines = rows + (window.first - first) * width;
        constexpr int64_t together = 32;  // sums that stay in registers
        int64_t at = 0;
        for (; at + together <= width; at += together)
          convolve_lines<together>(lines + at, width, down.at(row), window.count, together, bytes.data() + at);
        convolve_lines<0>(lines + at, width, down.at(row), window.count, width - at, bytes.data() + at);
        look_up(picture, plan, bytes.data(), row);
      }
    });
  }

  template <int taps>
  void stretch(const Picture& picture, const std::vector<Taps>& columns, const uint8_t* row, int64_t inputs,
               float* to) {
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

#if defined(__AVX2__)

  // The same with all channels of a pixel at once: four bytes are read for each, and four sums written.
  template <int taps>
  void stretch_pixels(const Picture& picture, const std::vector<Taps>& columns, const uint8_t* row, int64_t inputs,
                      float* to) {
    for (const Taps& column : columns) {
      __m128 sum = _mm_setzero_ps();
      for (int tap = 0; tap < taps; ++tap) {
        int32_t bytes;
        std::memcpy(&bytes, row + clamped(column.first + tap, inputs) * picture.channels, sizeof bytes);
        const __m128 pixel = _mm_cvtepi32_ps(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(bytes)));
        sum = _mm_add_ps(sum, _mm_mul_ps(pixel, _mm_set1_ps(column.weights[tap])));
      }
      _mm_storeu_ps(to, sum);
      to += picture.channels;
    }
  }

#endif

  // Row `number` of the picture, to where three more floats have room.
  template <int taps>
  void stretch_row(const Picture& picture, const std::vector<Taps>& columns, const Plan& plan, int64_t number,
                   float* to) {
    const int64_t inputs = plan.columns.inputs, pitch = inputs * picture.channels;
    const uint8_t* row = picture.pixels + number * pitch;
#if defined(__AVX2__)
    // Three bytes more than the row has are read: not behind the picture's end.
    if (picture.channels <= 4 && (number + 1) * pitch + 3 <= plan.rows.inputs * pitch)
      return stretch_pixels<taps>(picture, columns, row, inputs, to);
#endif
    stretch<taps>(picture, columns, row, inputs, to);
  }

  template <int taps>
  void interpolated(Context & ctx, const Picture& picture, const Plan& plan, Filter filter) {
    std::vector<Taps> columns;
    for (int64_t i = 0; i < plan.columns.kept; ++i) columns.push_back(taps_of(filter, plan.columns, i));
    const int64_t width = plan.columns.kept * picture.channels, room = width + 3;
    ctx.parallel_for(plan.rows.kept, 8, [&](int64_t begin, int64_t end) {
      std::vector<float> kept(static_cast<size_t>(taps * room));
      std::vector<uint8_t> bytes(static_cast<size_t>(width));
      std::array<int64_t, taps> kept_row;
      kept_row.fill(-1);
      for (int64_t row = begin; row < end; ++row) {
        const Taps down = taps_of(filter, plan.rows, row);
        const float* stretched[taps];
        for (int tap = 0; tap < taps; ++tap) {
          const int64_t needed = clamped(down.first + tap, plan.rows.inputs);
          // Rows that are needed together follow each other, and so have places of their own.
          float* place = kept.data() + needed % taps * room;
          if (kept_row[static_cast<size_t>(needed % taps)] != needed) {
            stretch_row<taps>(picture, columns, plan, needed, place);
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

  void picked(Context & ctx, const Picture& picture, const Plan& plan) {
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
  const auto [pictures, height, width, channels, filter, plan] = read_job(image, table, size, fit, crop, mode, fill);
  float* made = output.alloc({pictures, channels, plan.rows.made, plan.columns.made});
  const int64_t plane = plan.rows.made * plan.columns.made;
  if (plan.rows.kept * plan.columns.kept < plane)
    for (int64_t i = 0; i < pictures * channels; ++i)
      std::fill_n(made + i * plane, plane, table[i % channels * 256 + fill]);
  for (int64_t i = 0; i < pictures; ++i) {
    const Picture picture{image.data() + i * height * width * channels, table.data(), made + i * channels * plane,
                          channels, reverse};
    if (filter == Filter::nearest) picked(ctx, picture, plan);
    else if (antialias) convolved(ctx, picture, plan, filter);
    else if (filter == Filter::bilinear) interpolated<2>(ctx, picture, plan, filter);
    else interpolated<4>(ctx, picture, plan, filter);
  }
}
