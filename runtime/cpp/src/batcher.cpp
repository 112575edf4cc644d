#include "batcher.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace modelport::runtime {
namespace {

const modelport_tensor& find(const modelport_tensor* tensors, size_t count, const std::string& name) {
  return *std::find_if(tensors, tensors + count,
                       [&](const modelport_tensor& item) { return name == item.name; });
}

size_t largest_batch(const Engine& engine, size_t wanted) {
  const auto& inputs = engine.signature.inputs();
  if (inputs.empty() || inputs[0].axes.empty() || inputs[0].axes[0].max < 0) return wanted;
  return std::min(wanted, static_cast<size_t>(inputs[0].axes[0].max));
}

}  // namespace

Batcher::Batcher(std::shared_ptr<const Engine> engine, size_t max_batch,
                 std::chrono::microseconds max_delay)
    : engine_(std::move(engine)),
      max_batch_(largest_batch(*engine_, max_batch)),
      max_delay_(max_delay),
      all_outputs_(engine_->signature.requested(nullptr, 0)) {
  if (max_batch < 1 || max_delay.count() < 0)
    throw usage_error("a batch of at most " + std::to_string(max_batch) + " after " +
                          std::to_string(max_delay.count()) + " microseconds is not possible",
                      {{}, {}, "at least 1, and no negative delay"});
  if (max_batch > 1) require_batchable();
  worker_ = std::thread(&Batcher::work, this);
}

Batcher::~Batcher() {
  {
    const std::lock_guard<std::mutex> hold(lock_);
    ending_ = true;
  }
  changed_.notify_all();
  worker_.join();
}

void Batcher::require_batchable() const {
  const Signature& signature = engine_->signature;
  const char* name = nullptr;
  for (const auto* specs : {&signature.inputs(), &signature.outputs()}) {
    for (const TensorSpec& spec : *specs) {
      const bool dynamic = !spec.axes.empty() && spec.axes[0].size < 0;
      if (dynamic && !name) name = spec.axes[0].name;
      if (dynamic && std::strcmp(spec.axes[0].name, name) == 0) continue;
      throw usage_error("requests to this model cannot be put together: " + quoted(spec.name) +
                            " does not begin with the dynamic axis of the others",
                        {{}, spec.text(), "export it with a dynamic first axis, or use a batch of 1"});
    }
  }
  if (signature.inputs().empty())
    throw usage_error("requests to this model cannot be put together: it has no inputs");
}

const void* Batcher::Held::data() const {
  return pointers.empty() ? static_cast<const void*>(bytes.data()) : pointers.data();
}

Batcher::Held Batcher::hold(const modelport_tensor& tensor, const TensorSpec& spec) const {
  Held held;
  const size_t count = element_count(tensor);
  held.shape.assign(tensor.shape, tensor.shape + tensor.rank);
  if (tensor.dtype == MODELPORT_STRING) {
    const auto* texts = static_cast<const char* const*>(tensor.data);
    held.texts.assign(texts, texts + count);
    for (const std::string& text : held.texts) held.pointers.push_back(text.c_str());
  } else {
    const auto* bytes = static_cast<const char*>(tensor.data);
    held.bytes.assign(bytes, bytes + count * spec.dtype->bytes);
  }
  return held;
}

void Batcher::submit(const modelport_tensor* inputs, size_t count, Done done) {
  engine_->signature.examine(inputs, count);
  Request request{{}, 1, std::move(done), Clock::now() + max_delay_};
  for (const TensorSpec& spec : engine_->signature.inputs())
    request.inputs.push_back(hold(find(inputs, count, spec.name), spec));
  if (max_batch_ > 1) request.size = static_cast<size_t>(request.inputs[0].shape[0]);
  {
    const std::lock_guard<std::mutex> hold(lock_);
    Group& group = group_of(request);
    group.size += request.size;
    group.waiting.push_back(std::move(request));
  }
  changed_.notify_one();
}

Batcher::Group& Batcher::group_of(const Request& request) {
  std::vector<std::vector<int64_t>> shapes;
  for (const Held& held : request.inputs) {
    shapes.push_back(held.shape);
    if (max_batch_ > 1) shapes.back()[0] = -1;
  }
  for (Group& group : groups_)
    if (group.shapes == shapes) return group;
  groups_.push_back({std::move(shapes), {}, 0});
  return groups_.back();
}

// The group to run now: one that is full, or whose first request has waited long enough; of those
// the one that waits longest.
std::list<Batcher::Group>::iterator Batcher::ready(Clock::time_point now) {
  auto best = groups_.end();
  for (auto group = groups_.begin(); group != groups_.end(); ++group) {
    const bool due = ending_ || group->size >= max_batch_ || group->waiting.front().due <= now;
    if (due && (best == groups_.end() || group->waiting.front().due < best->waiting.front().due))
      best = group;
  }
  return best;
}

Batcher::Requests Batcher::take(std::list<Group>::iterator group) {
  Requests taken;
  size_t size = 0;
  auto& waiting = group->waiting;
  // One that is too large for any batch is run alone.
  while (!waiting.empty() && (taken.empty() || size + waiting.front().size <= max_batch_)) {
    size += waiting.front().size;
    taken.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  group->size -= size;
  if (waiting.empty()) groups_.erase(group);
  return taken;
}

void Batcher::work() {
  std::unique_lock<std::mutex> hold(lock_);
  for (;;) {
    const auto group = ready(Clock::now());
    if (group != groups_.end()) {
      Requests requests = take(group);
      hold.unlock();
      serve(requests);
      requests.clear();
      hold.lock();
    } else if (groups_.empty()) {
      if (ending_) return;
      changed_.wait(hold);
    } else {
      const auto due = std::min_element(groups_.begin(), groups_.end(), [](const Group& a, const Group& b) {
        return a.waiting.front().due < b.waiting.front().due;
      })->waiting.front().due;
      changed_.wait_until(hold, due);
    }
  }
}

void Batcher::serve(Requests& requests) const {
  try {
    std::vector<Outputs> parts = parted(run(requests), requests);
    for (size_t i = 0; i < requests.size(); ++i) requests[i].done(nullptr, std::move(parts[i]));
    return;
  } catch (const Error& error) {
    if (requests.size() == 1) return requests[0].done(&error, {});
  } catch (const std::exception& error) {
    const Error told = run_error("the runtime failed", {{}, error.what(), {}});
    if (requests.size() == 1) return requests[0].done(&told, {});
  }
  // One of several was at fault: each for itself, so that the others have their answers.
  for (Request& request : requests) {
    Requests alone;
    alone.push_back(std::move(request));
    serve(alone);
  }
}

Outputs Batcher::run(const Requests& requests) const {
  const auto& specs = engine_->signature.inputs();
  std::vector<Held> together(requests.size() > 1 ? specs.size() : 0);
  std::vector<modelport_tensor> inputs;
  for (size_t i = 0; i < specs.size(); ++i) {
    const Held* held = &requests[0].inputs[i];
    if (!together.empty()) {
      Held& all = together[i];
      all.shape = held->shape;
      all.shape[0] = 0;
      all.bytes.reserve(held->bytes.size() * requests.size());
      for (const Request& request : requests) {
        const Held& one = request.inputs[i];
        all.shape[0] += one.shape[0];
        all.bytes.insert(all.bytes.end(), one.bytes.begin(), one.bytes.end());
        all.pointers.insert(all.pointers.end(), one.pointers.begin(), one.pointers.end());
      }
      held = &all;
    }
    inputs.push_back({specs[i].name.c_str(), specs[i].dtype->code, held->shape.data(),
                      held->shape.size(), held->data()});
  }
  engine_->signature.examine(inputs.data(), inputs.size());
  return engine_->run(inputs.data(), inputs.size(), all_outputs_);
}

// Each request's part of every output, without a copy.
std::vector<Outputs> Batcher::parted(const Outputs& outputs, const Requests& requests) const {
  if (requests.size() == 1) return {outputs};
  const size_t total = std::accumulate(requests.begin(), requests.end(), size_t{0},
                                       [](size_t sum, const Request& item) { return sum + item.size; });
  std::vector<size_t> strides;
  for (const Output& output : outputs.items) {
    if (output.shape.empty() || static_cast<size_t>(output.shape[0]) != total)
      throw run_error("output " + quoted(output.spec->name) + " has shape " +
                      listed(output.shape.data(), output.shape.size()) + " for a batch of " +
                      std::to_string(total));
    strides.push_back(element_count(output.view()) / std::max<size_t>(total, 1) *
                      find_dtype(output.dtype)->bytes);
  }
  std::vector<Outputs> parts;
  size_t begin = 0;
  for (const Request& request : requests) {
    parts.push_back(outputs);
    for (size_t i = 0; i < strides.size(); ++i) {
      Output& own = parts.back().items[i];
      own.shape[0] = static_cast<int64_t>(request.size);
      own.data = static_cast<const char*>(own.data) + begin * strides[i];
    }
    begin += request.size;
  }
  return parts;
}

}  // namespace modelport::runtime
