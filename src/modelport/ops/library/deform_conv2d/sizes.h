// The sizes of a deformable convolution, checked.
#pragma once

#include <modelport/kernel.h>

namespace {

struct Sizes {
  int64_t n, channels, height, width, outputs, kernel_height, kernel_width, out_height, out_width;
  int64_t stride[2], padding[2], dilation[2], groups, offset_groups;

  MODELPORT_BOTH int64_t taps() const { return kernel_height * kernel_width; }
  MODELPORT_BOTH int64_t pixels() const { return height * width; }
  MODELPORT_BOTH int64_t out_pixels() const { return out_height * out_width; }
  MODELPORT_BOTH int64_t group_channels() const { return channels / groups; }
  MODELPORT_BOTH int64_t group_outputs() const { return outputs / groups; }
};

inline int64_t out_size(const char* side, int64_t size, int64_t taps, int64_t stride, int64_t padding,
                        int64_t dilation) {
  check(stride >= 1 && dilation >= 1 && padding >= 0, "stride and dilation are 1 or more, padding is 0 or more: the ",
        side, " has ", stride, ", ", dilation, ", ", padding);
  const int64_t left = size + 2 * padding - dilation * (taps - 1) - 1;
  check(left >= 0, "the kernel's ", side, " reaches over ", dilation * (taps - 1) + 1, " pixels, the padded input has ",
        size + 2 * padding);
  return left / stride + 1;
}

// Tensor types: In and Opt of either device.
template <class Tensor, class Optional, class Vector>
Sizes sizes_of(const Tensor& input, const Tensor& weight, const Tensor& offset, const Optional& mask,
               const Vector& bias, Span<int64_t> stride, Span<int64_t> padding, Span<int64_t> dilation, int64_t groups,
               int64_t offset_groups) {
  check(stride.size() == 2 && padding.size() == 2 && dilation.size() == 2,
        "stride, padding and dilation are two numbers each: vertical and horizontal");
  Sizes s{};
  s.n = input.dim(0), s.channels = input.dim(1), s.height = input.dim(2), s.width = input.dim(3);
  s.outputs = weight.dim(0), s.kernel_height = weight.dim(2), s.kernel_width = weight.dim(3);
  s.groups = groups, s.offset_groups = offset_groups;
  for (size_t i = 0; i < 2; ++i) s.stride[i] = stride[i], s.padding[i] = padding[i], s.dilation[i] = dilation[i];
  check(s.channels >= 1 && s.height >= 1 && s.width >= 1 && weight.size() >= 1,
        "only the batch may be empty: the input is ", input.shape(), ", the weight is ", weight.shape());
  check(s.pixels() < (int64_t{1} << 31), "a picture has fewer than 2^31 pixels: the input is ", input.shape());
  check(groups >= 1 && s.channels % groups == 0 && s.outputs % groups == 0, "groups = ", groups,
        " divides neither or only one of ", s.channels, " channels and ", s.outputs, " outputs");
  check(weight.dim(1) == s.group_channels(), "the weight ", weight.shape(), " takes ", weight.dim(1),
        " channels a group; ", s.channels, " channels in ", groups, " groups make ", s.group_channels());
  check(offset_groups >= 1 && s.channels % offset_groups == 0, "offset_groups = ", offset_groups, " does not divide ",
        s.channels, " channels");
  s.out_height = out_size("height", s.height, s.kernel_height, stride[0], padding[0], dilation[0]);
  s.out_width = out_size("width", s.width, s.kernel_width, stride[1], padding[1], dilation[1]);
  const Shape offsets{s.n, 2 * offset_groups * s.taps(), s.out_height, s.out_width};
  check(offset.shape() == offsets, "the offset has shape ", offset.shape(), "; it must be ", offsets);
  const Shape masks{s.n, offset_groups * s.taps(), s.out_height, s.out_width};
  check(!mask || mask.shape() == masks, "the mask has shape ", mask.shape(), "; it must be ", masks);
  check(!bias || bias.dim(0) == s.outputs, "the bias has ", bias.size(), " elements for ", s.outputs, " outputs");
  return s;
}

}  // namespace
