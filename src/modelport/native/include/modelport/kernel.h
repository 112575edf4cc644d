// What the author of a kernel includes.
//
// A kernel is a function of the operator's name (a template of it where the declaration lists
// dtypes) whose parameters are, in the order of the declaration: the context, the inputs, the
// outputs, the attributes.
//
//   void knn_query(Context& ctx, In<float, 2> xyz, Opt<float, 2> queries,
//                  Out<int32_t> index, Out<float> distance, int64_t nsample);
//
// Inputs:      In<T>, Opt<T> (may be absent), List<T> (any number, as the last input);
//              a second template argument fixes the rank.
//              In CUDA kernels, HostIn<T> and HostOpt<T> are inputs in the memory of the CPU.
// Outputs:     Out<T>; `alloc` gives the buffer, and is called once for each output.
// Attributes:  int64_t, double, float, bool, std::string_view, Span<int64_t>, Span<double>,
//              Span<std::string_view>.
//
// All of it is in the namespace `modelport`. The names that a kernel's signature needs are global,
// too, unless MODELPORT_NO_GLOBAL_NAMES is defined before this file is included.
#pragma once

#include <cstddef>
#include <exception>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "modelport/types.h"

// Stands before functions that round every sum and product as they are written. Elsewhere the
// compiler may fuse them, which is faster and more exact, but not the same on every device.
#if defined(__clang__)
#define MODELPORT_NOTHING_FUSED _Pragma("clang fp contract(off)")
#elif defined(__CUDACC__)
#define MODELPORT_NOTHING_FUSED  // __fmul_rn and the like are never fused
#else
#define MODELPORT_NOTHING_FUSED _Pragma("GCC optimize(\"fp-contract=off\")")
#endif

namespace modelport {

constexpr size_t max_rank = 8;

// What a kernel throws; it reaches the user as an error of the runtime that runs the kernel.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::string text(const char* value) { return value; }
inline std::string text(const std::string& value) { return value; }
inline std::string text(std::string_view value) { return std::string(value); }
template <class T, class = std::enable_if_t<std::is_arithmetic_v<T>>>
std::string text(T value) {
  return std::to_string(value);
}

// Throws an error of the parts put together where a condition does not hold.
template <class... Parts>
void check(bool condition, const Parts&... parts) {
  if (__builtin_expect(!condition, 0)) throw Error((std::string() + ... + text(parts)));
}

template <class T>
struct Span {
  const T* first = nullptr;
  size_t count = 0;
  size_t size() const { return count; }
  const T& operator[](size_t index) const { return first[index]; }
  const T* begin() const { return first; }
  const T* end() const { return first + count; }
};

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) { assign(dims.begin(), dims.size()); }
  void assign(const int64_t* dims, size_t rank) {
    check(rank <= max_rank, "a tensor has rank ", rank, "; kernels take at most ", max_rank);
    rank_ = rank;
    for (size_t axis = 0; axis < rank; ++axis) dims_[axis] = dims[axis];
  }
  size_t rank() const { return rank_; }
  int64_t operator[](size_t axis) const { return dims_[axis]; }
  int64_t& operator[](size_t axis) { return dims_[axis]; }
  const int64_t* data() const { return dims_; }
  int64_t* data() { return dims_; }
  void resize(size_t rank) {
    check(rank <= max_rank, "a tensor has rank ", rank, "; kernels take at most ", max_rank);
    rank_ = rank;
  }
  int64_t count() const {
    int64_t product = 1;
    for (size_t axis = 0; axis < rank_; ++axis) product *= dims_[axis];
    return product;
  }
  bool operator==(const Shape& other) const {
    if (rank_ != other.rank_) return false;
    for (size_t axis = 0; axis < rank_; ++axis)
      if (dims_[axis] != other.dims_[axis]) return false;
    return true;
  }
  bool operator!=(const Shape& other) const { return !(*this == other); }
  std::string str() const {
    std::string out = "[";
    for (size_t axis = 0; axis < rank_; ++axis) out += (axis ? ", " : "") + std::to_string(dims_[axis]);
    return out + "]";
  }

 private:
  int64_t dims_[max_rank] = {};
  size_t rank_ = 0;
};

inline std::string text(const Shape& value) { return value.str(); }

struct View {
  const void* data = nullptr;
  Shape shape;
  bool present = false;
};

// One call of a kernel: where its tensors are, its threads, its memory, its stream.
class Context {
 public:
  virtual ~Context() = default;

  // Runs body(begin, end) over [0, count) on the runtime's own threads, in pieces of at least
  // `grain`; an error in any piece is thrown here.
  template <class Body>
  void parallel_for(int64_t count, int64_t grain, const Body& body) {
    if (count <= 0) return;
    constexpr int64_t most_pieces = 64;
    if (grain < 1) grain = 1;
    int64_t pieces = (count + grain - 1) / grain;
    if (pieces > most_pieces) pieces = most_pieces;
    if (pieces <= 1 || threads() == 1) return body(int64_t{0}, count);
    struct Job {
      const Body& body;
      int64_t count, pieces;
      std::exception_ptr error;
      int failed = 0;
    } job{body, count, pieces, nullptr};
    run_parallel(
        static_cast<size_t>(pieces),
        [](void* data, size_t piece) {
          Job& job = *static_cast<Job*>(data);
          const auto index = static_cast<int64_t>(piece);
          // The pieces differ by at most one.
          const int64_t base = job.count / job.pieces, rest = job.count % job.pieces;
          const int64_t begin = index * base + (index < rest ? index : rest);
          try {
            job.body(begin, begin + base + (index < rest ? 1 : 0));
          } catch (...) {
            if (!__atomic_exchange_n(&job.failed, 1, __ATOMIC_ACQ_REL)) job.error = std::current_exception();
          }
        },
        &job);
    if (job.error) std::rethrow_exception(job.error);
  }

  // Uninitialised memory for this call, aligned to 64 bytes, kept and reused where it can be;
  // on the GPU in its memory. What is taken is given back when the call ends.
  template <class T>
  T* scratch(int64_t count) {
    static_assert(std::is_trivially_destructible_v<T>, "scratch memory runs no destructors");
    return static_cast<T*>(take_scratch(static_cast<size_t>(count) * sizeof(T)));
  }

  // How many outputs have got their buffers.
  size_t allocated() const { return allocated_; }
  void* allocate(size_t index, const Shape& shape) {
    void* buffer = output(index, shape);
    ++allocated_;
    return buffer;
  }

  // How many threads `parallel_for` may use; 0 where the runtime does not say.
  virtual int threads() const = 0;
#if defined(__CUDACC__)
  cudaStream_t stream() const { return static_cast<cudaStream_t>(raw_stream()); }

  // Launches a kernel with a thread for each of `count`, nothing where it is 0. Of more than 16
  // million a thread takes several: the kernel goes on by the number of threads in the grid.
  template <class... Parameters, class... Arguments>
  void launch(void (*kernel)(Parameters...), int64_t count, const Arguments&... arguments) {
    constexpr int64_t threads = 256, most_blocks = 65536;
    if (count <= 0) return;
    const int64_t blocks = (count + threads - 1) / threads;
    launch_grid(kernel, dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks)), threads,
                arguments...);
  }

  // Launches a kernel on a grid of its own.
  template <class... Parameters, class... Arguments>
  void launch_grid(void (*kernel)(Parameters...), dim3 blocks, unsigned threads, const Arguments&... arguments) {
    if (only_measures()) return;
    kernel<<<blocks, threads, 0, stream()>>>(arguments...);
    const cudaError_t error = cudaGetLastError();
    check(error == cudaSuccess, "a kernel could not be launched: ", cudaGetErrorString(error));
  }
#endif

  // Whether only the scratch memory is asked for that a call would take: nothing is launched, the
  // values of tensors are not there, and the call ends where it asks for the stream.
  virtual bool only_measures() const { return false; }

  virtual void* raw_stream() const = 0;
  virtual size_t input_count() const = 0;
  virtual void input(size_t index, View& view) = 0;
  virtual void* output(size_t index, const Shape& shape) = 0;
  virtual void run_parallel(size_t pieces, void (*piece)(void*, size_t), void* data) = 0;
  virtual void* take_scratch(size_t bytes) = 0;
  // Keeps the text of an error; the call then returns false.
  virtual void fail(const char* message) = 0;

 private:
  size_t allocated_ = 0;
};

namespace detail {

template <class T, int Rank>
class Tensor {
 public:
  static_assert(Rank <= static_cast<int>(max_rank), "the rank is above max_rank");
  Tensor(Context& context, size_t index) { load(context, index); }
  const T* data() const { return static_cast<const T*>(view_.data); }
  const T& operator[](int64_t index) const { return data()[index]; }
  const Shape& shape() const { return view_.shape; }
  int64_t dim(size_t axis) const { return view_.shape[axis]; }
  size_t rank() const { return view_.shape.rank(); }
  int64_t size() const { return view_.shape.count(); }

 protected:
  void load(Context& context, size_t index) {
    context.input(index, view_);
    if constexpr (Rank >= 0)
      check(!view_.present || rank() == Rank, "input ", index, " has rank ", rank(), " ", shape(),
            "; the kernel takes rank ", Rank);
  }
  View view_;
};

}  // namespace detail

template <class T, int Rank = -1>
class In : public detail::Tensor<T, Rank> {
 public:
  In(Context& context, size_t index) : detail::Tensor<T, Rank>(context, index) {
    check(this->view_.present, "input ", index, " is absent; the operator needs it");
  }
};

template <class T, int Rank = -1>
class Opt : public detail::Tensor<T, Rank> {
 public:
  using detail::Tensor<T, Rank>::Tensor;
  explicit operator bool() const { return this->view_.present; }
};

template <class T, int Rank = -1>
class HostIn : public In<T, Rank> {
 public:
  using In<T, Rank>::In;
};

template <class T, int Rank = -1>
class HostOpt : public Opt<T, Rank> {
 public:
  using Opt<T, Rank>::Opt;
};

template <class T, int Rank = -1>
class List {
 public:
  List(Context& context, size_t first) : context_(&context), first_(first), count_(context.input_count() - first) {}
  size_t size() const { return count_; }
  In<T, Rank> operator[](size_t index) const { return {*context_, first_ + index}; }

 private:
  Context* context_;
  size_t first_, count_;
};

template <class T>
class Out {
 public:
  Out(Context& context, size_t index) : context_(&context), index_(index) {}
  // The buffer for an output of this shape. Its content is undefined.
  T* alloc(const Shape& shape) {
    check(!allocated_, "output ", index_, " is allocated twice");
    shape_ = shape;
    data_ = static_cast<T*>(context_->allocate(index_, shape));
    allocated_ = true;
    return data_;
  }
  T* data() const { return data_; }
  const Shape& shape() const { return shape_; }

 private:
  Context* context_;
  size_t index_;
  T* data_ = nullptr;
  bool allocated_ = false;
  Shape shape_;
};

}  // namespace modelport

// A kernel's file speaks of In and Out as the declaration does.
#if !defined(MODELPORT_NO_GLOBAL_NAMES)
using modelport::bfloat16;
using modelport::check;
using modelport::Context;
using modelport::float16;
using modelport::HostIn;
using modelport::HostOpt;
using modelport::In;
using modelport::List;
using modelport::Opt;
using modelport::Out;
using modelport::Shape;
using modelport::Span;
#endif
