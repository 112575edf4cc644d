// Requests of many threads, run together.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "engine.h"
#include "error.h"

namespace modelport::runtime {

class Batcher {
 public:
  using Clock = std::chrono::steady_clock;
  // Told once: either an error, or outputs. It must not throw.
  using Done = std::function<void(const Error*, Outputs&&)>;

  // Throws a usage error where the model has no axis to put requests together along.
  Batcher(std::shared_ptr<const Engine> engine, size_t max_batch, std::chrono::microseconds max_delay);
  // Runs what was submitted, then ends.
  ~Batcher();

  // Copies the inputs; throws where they are not what the model takes.
  void submit(const modelport_tensor* inputs, size_t count, Done done);

 private:
  // Memory of one input of a batch, which the next batch uses again.
  struct Buffer {
    struct Free {
      void operator()(char* bytes) const { ::operator delete(bytes, alignment); }
    };
    static constexpr std::align_val_t alignment{64};
    explicit Buffer(size_t count);
    size_t size;
    std::unique_ptr<char, Free> bytes;
  };
  // One input of the requests of a batch, which lie in it one behind the other.
  struct Rows {
    std::vector<int64_t> shape;  // the first axis aside, where it counts rows
    size_t elements;             // of one row
    Buffer buffer;               // of numbers,
    std::vector<std::string> texts;  // or of strings,
    std::vector<const char*> pointers;  // whose addresses `run` needs
  };
  // A request's rows in its batch, and who is told what became of them.
  struct Part {
    size_t begin;
    size_t rows;
    Done done;
  };
  // Requests that run together: equal but for the first axis.
  struct Batch {
    std::vector<Rows> inputs;  // in the signature's order
    std::vector<Part> parts;
    Clock::time_point due;
    size_t rows = 0;
    size_t copying = 0;   // requests whose inputs are still on their way into it
    bool closed = false;  // it takes no more of them
  };
  using Batches = std::list<Batch>;

  void require_batchable() const;
  size_t rows_of(const modelport_tensor& tensor) const;
  Batch& batch_for(const std::vector<const modelport_tensor*>& inputs, size_t rows);
  bool fits(const Batch& batch, const std::vector<const modelport_tensor*>& inputs) const;
  Rows make_rows(const modelport_tensor& tensor, const TensorSpec& spec, size_t capacity);
  Buffer take_buffer(size_t bytes);
  bool is_due(const Batch& batch, Clock::time_point now) const;
  void wait(std::unique_lock<std::mutex>& hold);
  void work();
  void serve(Batch& batch) const;
  Outputs run(Batch& batch, size_t begin, size_t rows) const;
  std::vector<Outputs> parted(const Outputs& outputs, const Batch& batch) const;

  const std::shared_ptr<const Engine> engine_;
  const size_t max_batch_;
  const std::chrono::microseconds max_delay_;
  std::vector<size_t> all_outputs_;
  std::mutex lock_;
  std::condition_variable changed_;
  Batches batches_;  // in the order in which they were begun
  std::vector<Buffer> spare_;
  bool ending_ = false;
  std::thread worker_;
};

}  // namespace modelport::runtime
