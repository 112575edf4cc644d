#include <modelport/kernel.h>

void positive(Context&, In<float, 1> x, Out<float> values, Out<int64_t> places) {
  int64_t count = 0;
  for (int64_t i = 0; i < x.size(); ++i) count += x[i] > 0;
  float* value = values.alloc({count});
  int64_t* place = places.alloc({count});
  for (int64_t i = 0; i < x.size(); ++i) {
    if (!(x[i] > 0)) continue;
    *value++ = x[i];
    *place++ = i;
  }
}
