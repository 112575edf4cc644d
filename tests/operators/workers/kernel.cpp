#include <modelport/kernel.h>

#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <thread>

void workers(Context& ctx, In<float> x, Out<int64_t> output, int64_t fails_at) {
  int64_t* to = output.alloc(x.shape());
  ctx.parallel_for(x.size(), 1, [=](int64_t begin, int64_t end) {
    // Long enough for the other threads to take their share.
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    for (int64_t i = begin; i < end; ++i) {
      check(i != fails_at, "element ", i, " was to fail");
      to[i] = syscall(SYS_gettid);
    }
  });
}
