// Requests of many threads, run together.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
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
  // An input that a request holds.
  struct Held {
    std::vector<int64_t> shape;
    std::vector<char> bytes;
    std::vector<std::string> texts;     // of strings,
    std::vector<const char*> pointers;  // which `bytes` has not
    const void* data() const;
  };
  struct Request {
    std::vector<Held> inputs;  // in the signature's order
    size_t size;               // of the first axis
    Done done;
    Clock::time_point due;
  };
  // Requests that fit together: equal but for the first axis.
  struct Group {
    std::vector<std::vector<int64_t>> shapes;
    std::deque<Request> waiting;
    size_t size = 0;
  };
  using Requests = std::vector<Request>;

  void require_batchable() const;
  Held hold(const modelport_tensor& tensor, const TensorSpec& spec) const;
  Group& group_of(const Request& request);
  std::list<Group>::iterator ready(Clock::time_point now);
  Requests take(std::list<Group>::iterator group);
  void work();
  void serve(Requests& requests) const;
  Outputs run(const Requests& requests) const;
  std::vector<Outputs> parted(const Outputs& outputs, const Requests& requests) const;

  const std::shared_ptr<const Engine> engine_;
  const size_t max_batch_;
  const std::chrono::microseconds max_delay_;
  std::vector<size_t> all_outputs_;
  std::mutex lock_;
  std::condition_variable changed_;
  std::list<Group> groups_;
  bool ending_ = false;
  std::thread worker_;
};

}  // namespace modelport::runtime
