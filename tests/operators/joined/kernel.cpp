#include <modelport/kernel.h>

#include <algorithm>

template <class T>
void joined(Context&, In<T> first, List<T> rest, Out<T> output) {
  int64_t total = first.size();
  for (size_t i = 0; i < rest.size(); ++i) total += rest[i].size();
  T* to = output.alloc({total});
  to = std::copy(first.data(), first.data() + first.size(), to);
  for (size_t i = 0; i < rest.size(); ++i) {
    const In<T> item = rest[i];
    to = std::copy(item.data(), item.data() + item.size(), to);
  }
}
