#include <modelport/kernel.h>

void pick(Context&, In<float> a, Opt<int32_t> b, In<double> c, Opt<uint8_t> d, Opt<int64_t> e, Out<float> sum,
          Out<int32_t> there) {
  check(a.shape() == c.shape(), "a has shape ", a.shape(), ", c has shape ", c.shape());
  float* to = sum.alloc(a.shape());
  for (int64_t i = 0; i < a.size(); ++i) {
    double total = static_cast<double>(a[i]) + c[i];
    if (b) total += b[i];
    if (d) total += d[i];
    if (e) total += static_cast<double>(e[i]);
    to[i] = static_cast<float>(total);
  }
  int32_t* flags = there.alloc({5});
  flags[0] = 1;
  flags[1] = b ? 1 : 0;
  flags[2] = 1;
  flags[3] = d ? 1 : 0;
  flags[4] = e ? 1 : 0;
}
