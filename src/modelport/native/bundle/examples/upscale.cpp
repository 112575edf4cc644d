// Enlarges a PNG with a bundle that takes and gives pictures of [N, 3, H, W], values 0..255:
//
//     upscale srcnn.port small.png large.png

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <modelport/modelport.hpp>

struct Picture {
  int64_t height = 0, width = 0;
  std::vector<unsigned char> bytes;  // [height, width, 3], RGB
};

png_image made_image() {
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  return image;
}

Picture read_png(const char* path) {
  png_image image = made_image();
  if (!png_image_begin_read_from_file(&image, path)) throw std::runtime_error(image.message);
  image.format = PNG_FORMAT_RGB;
  Picture picture{image.height, image.width, std::vector<unsigned char>(PNG_IMAGE_SIZE(image))};
  if (!png_image_finish_read(&image, nullptr, picture.bytes.data(), 0, nullptr))
    throw std::runtime_error(image.message);
  return picture;
}

void write_png(const char* path, const Picture& picture) {
  png_image image = made_image();
  image.height = static_cast<png_uint_32>(picture.height);
  image.width = static_cast<png_uint_32>(picture.width);
  image.format = PNG_FORMAT_RGB;
  if (!png_image_write_to_file(&image, path, 0, picture.bytes.data(), 0, nullptr))
    throw std::runtime_error(image.message);
}

Picture upscale(const modelport::Engine& engine, const Picture& picture) {
  const int64_t pixels = picture.height * picture.width;
  std::vector<float> planes(static_cast<size_t>(3 * pixels));
  for (int64_t channel = 0; channel < 3; ++channel)
    for (int64_t i = 0; i < pixels; ++i) planes[channel * pixels + i] = picture.bytes[3 * i + channel];

  const std::string name = engine.inputs().at(0).name;
  const auto outputs = engine.run({{name, {1, 3, picture.height, picture.width}, planes}});
  const modelport::Output output = outputs.at(0);
  const float* result = output.data<float>();
  const auto shape = output.shape();

  Picture enlarged{shape.at(2), shape.at(3), std::vector<unsigned char>(output.count())};
  const int64_t size = enlarged.height * enlarged.width;
  for (int64_t channel = 0; channel < 3; ++channel)
    for (int64_t i = 0; i < size; ++i)
      enlarged.bytes[3 * i + channel] =
          static_cast<unsigned char>(std::clamp(std::nearbyint(result[channel * size + i]), 0.0f, 255.0f));
  return enlarged;
}

int main(int count, char** arguments) {
  if (count != 4) {
    std::fprintf(stderr, "usage: upscale BUNDLE IN.png OUT.png\n");
    return 2;
  }
  try {
    const modelport::Engine engine(arguments[1]);
    write_png(arguments[3], upscale(engine, read_png(arguments[2])));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
  return 0;
}
