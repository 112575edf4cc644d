// A kernel's context in TensorRT.
#pragma once

#include <string>
#include <vector>

#include "modelport/kernel.h"

namespace modelport::trt {

// An input of the kernel, by its place in the declaration.
struct PluginInput {
  bool present = false;
  bool host = false;  // the kernel wants it in the memory of the CPU
  DataType type = DataType::none;
  Shape shape;
  const void* data = nullptr;
};

// An output of the kernel.
struct PluginOutput {
  Shape most;  // its shape, or what the sizes that values decide are at most
  bool is_bound[max_rank] = {};
  void* data = nullptr;
  int32_t* sizes[max_rank] = {};  // where those sizes are to be written, in the memory of the GPU
};

// What all calls of a kernel have in common.
class PluginContext : public Context {
 public:
  explicit PluginContext(std::vector<PluginInput> inputs) : inputs_(std::move(inputs)) {}

  size_t input_count() const override { return inputs_.size(); }
  int threads() const override { return 1; }
  void run_parallel(size_t pieces, void (*piece)(void*, size_t), void* data) override {
    for (size_t i = 0; i < pieces; ++i) piece(data, i);
  }
  void fail(const char* message) override { message_ = message; }
  const std::string& message() const { return message_; }

 protected:
  std::vector<PluginInput> inputs_;

 private:
  std::string message_;
};

// A call that only adds up the scratch memory that it would take.
class MeasuringContext final : public PluginContext {
 public:
  using PluginContext::PluginContext;
  bool only_measures() const override { return true; }
  void input(size_t index, View& view) override;
  void* output(size_t index, const Shape& shape) override;
  void* raw_stream() const override;
  void* take_scratch(size_t bytes) override;
  size_t taken() const { return taken_; }

 private:
  size_t taken_ = 0;
  std::vector<std::vector<char>> zeros_;
};

// A call on a stream. Scratch memory is that of TensorRT; what it does not hold, because a kernel
// asked for it only after something that cannot be measured, comes from CUDA's pool.
class EnqueueContext final : public PluginContext {
 public:
  EnqueueContext(std::vector<PluginInput> inputs, std::vector<PluginOutput> outputs, void* workspace,
                 size_t workspace_bytes, void* stream)
      : PluginContext(std::move(inputs)), outputs_(std::move(outputs)), workspace_(static_cast<char*>(workspace)),
        left_(workspace ? workspace_bytes : 0), stream_(stream) {}
  ~EnqueueContext() override;
  void input(size_t index, View& view) override;
  void* output(size_t index, const Shape& shape) override;
  void* raw_stream() const override { return stream_; }
  void* take_scratch(size_t bytes) override;

 private:
  std::vector<PluginOutput> outputs_;
  char* workspace_;
  size_t left_;
  void* stream_;
  std::vector<void*> blocks_;
  std::vector<std::vector<char>> copies_;
};

}  // namespace modelport::trt
