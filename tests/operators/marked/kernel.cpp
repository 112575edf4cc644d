#include <modelport/kernel.h>

void marked(Context&, In<float> x, Out<float> output, double factor) {
  float* to = output.alloc(x.shape());
  for (int64_t i = 0; i < x.size(); ++i) to[i] = x[i] * static_cast<float>(factor) + 1.0f;
}
