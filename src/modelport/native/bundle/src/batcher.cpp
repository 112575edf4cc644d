#include "batcher.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace modelport::runtime {
namespace {

const modelport_tensor& find(const modelport_tensor* tensors, size_t count, const std::string& name) {
  return *std::find_if(tensors, tensors + count, [&](const modelport_tensor& item) { return name == item.name; });
}

size_t largest_batch(const Engine& engine, size_t wanted) {
  const auto& inputs = engine.signature.inputs();
  if (inputs.empty() || inputs[0].axes.empty() || inputs[0].axes[0].max < 0) return wanted;
  return std::min(wanted, static_cast<size_t>(inputs[0].axes[0].max));
}

}  // namespace

Batcher::Batcher(std::shared_ptr<const Engine> engine, size_t max_batch, std::chrono::microseconds max_delay)
    : engine_(std::move(engine)), max_batch_(largest_batch(*engine_, max_batch)), max_delay_(max_delay),
      all_outputs_(engine_->signature.requested(nullptr, 0)) {
  if (max_batch < 1 || max_delay.count() < 0)
    throw usage_error("a batch of at most " + std::to_string(max_batch) + " after " +
                          std::to_string(max_delay.count()) + " microseconds is not possible",
                      {{}, {}, "at least 1, and no negative delay"});
  if (max_batch > 1) require_batchable();
  constexpr size_t kept = 4;  // one that runs, one that fills, and some of other shapes
  spare_.reserve(kept * engine_->signature.inputs().size());
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
  if (signature.inputs().empty()) throw usage_error("requests to this model cannot be put together: it has no inputs");
}

Batcher::Buffer::Buffer(size_t count)
    : size(count), bytes(static_cast<char*>(::operator new(std::max<size_t>(count, 1), alignment))) {}

// What a request has along the first axis; one where requests are not put together.
size_t Batcher::rows_of(const modelport_tensor& tensor) const {
  return max_batch_ > 1 ? static_cast<size_t>(tensor.shape[0]) : 1;
}

void Batcher::submit(const modelport_tensor* inputs, size_t count, Done done) {
  const Signature& signature = engine_->signature;
  signature.examine(inputs, count);
  std::vector<const modelport_tensor*> ordered;
  for (const TensorSpec& spec : signature.inputs()) ordered.push_back(&find(inputs, count, spec.name));
  // What may fail comes before the request has a place.
  std::vector<std::vector<std::string>> texts(ordered.size());
  for (size_t i = 0; i < ordered.size(); ++i) {
    const auto* strings = static_cast<const char* const*>(ordered[i]->data);
    if (ordered[i]->dtype == MODELPORT_STRING) texts[i].assign(strings, strings + element_count(*ordered[i]));
  }
  const size_t rows = ordered.empty() ? 1 : rows_of(*ordered[0]);
  Batch* batch;
  size_t begin;
  {
    const std::lock_guard<std::mutex> hold(lock_);
    batch = &batch_for(ordered, rows);
    begin = batch->rows;
    batch->parts.push_back({begin, rows, std::move(done)});
    batch->rows += rows;
    ++batch->copying;
  }
  for (size_t i = 0; i < ordered.size(); ++i) {
    Rows& own = batch->inputs[i];
    const size_t place = begin * own.elements, bytes = find_dtype(ordered[i]->dtype)->bytes;
    if (ordered[i]->dtype == MODELPORT_STRING)
      std::move(texts[i].begin(), texts[i].end(), own.texts.begin() + static_cast<std::ptrdiff_t>(place));
    else if (rows > 0 && own.elements > 0)
      std::memcpy(own.buffer.bytes.get() + place * bytes, ordered[i]->data, rows * own.elements * bytes);
  }
  {
    const std::lock_guard<std::mutex> hold(lock_);
    --batch->copying;
    // The worker waits for what is due: it need not hear of the others.
    if (begin && !is_due(*batch, Clock::now())) return;
  }
  changed_.notify_one();
}

// The batch that a request goes into: the last one of its form where it has room, else a new one.
Batcher::Batch& Batcher::batch_for(const std::vector<const modelport_tensor*>& inputs, size_t rows) {
  for (auto batch = batches_.rbegin(); batch != batches_.rend(); ++batch) {
    if (batch->closed || !fits(*batch, inputs)) continue;
    if (batch->rows + rows <= max_batch_) return *batch;
    batch->closed = true;  // whoever comes later does not go before this one
    break;
  }
  Batch made;
  made.due = Clock::now() + max_delay_;
  // One that is too large for any batch is run alone.
  const size_t capacity = std::max(rows, max_batch_);
  for (size_t i = 0; i < inputs.size(); ++i)
    made.inputs.push_back(make_rows(*inputs[i], engine_->signature.inputs()[i], capacity));
  batches_.push_back(std::move(made));
  return batches_.back();
}

bool Batcher::fits(const Batch& batch, const std::vector<const modelport_tensor*>& inputs) const {
  const size_t from = max_batch_ > 1 ? 1 : 0;
  for (size_t i = 0; i < inputs.size(); ++i)
    if (!std::equal(inputs[i]->shape + from, inputs[i]->shape + inputs[i]->rank, batch.inputs[i].shape.begin(),
                    batch.inputs[i].shape.end()))
      return false;
  return true;
}

Batcher::Rows Batcher::make_rows(const modelport_tensor& tensor, const TensorSpec& spec, size_t capacity) {
  const size_t from = max_batch_ > 1 ? 1 : 0;
  std::vector<int64_t> shape(tensor.shape + from, tensor.shape + tensor.rank);
  const size_t elements = std::accumulate(shape.begin(), shape.end(), size_t{1}, [](size_t so_far, int64_t size) {
    return so_far * static_cast<size_t>(size);
  });
  const bool is_text = tensor.dtype == MODELPORT_STRING;
  Rows made{std::move(shape), elements, take_buffer(is_text ? 0 : capacity * elements * spec.dtype->bytes), {}, {}};
  if (is_text) made.texts.resize(capacity * elements);
  return made;
}

// The smallest spare one that is large enough, or a new one.
Batcher::Buffer Batcher::take_buffer(size_t bytes) {
  auto best = spare_.end();
  for (auto item = spare_.begin(); item != spare_.end(); ++item)
    if (item->size >= bytes && (best == spare_.end() || item->size < best->size)) best = item;
  if (best == spare_.end()) return Buffer(bytes);
  Buffer found = std::move(*best);
  spare_.erase(best);
  return found;
}

bool Batcher::is_due(const Batch& batch, Clock::time_point now) const {
  return ending_ || batch.closed || batch.rows >= max_batch_ || batch.due <= now;
}

// Until a request changes what is to be done, or the first batch is due.
void Batcher::wait(std::unique_lock<std::mutex>& hold) {
  const auto now = Clock::now();
  auto next = Clock::time_point::max();
  for (const Batch& batch : batches_)
    // What is due and not run is still being copied into; whoever does it will tell.
    if (!is_due(batch, now)) next = std::min(next, batch.due);
  if (next == Clock::time_point::max()) changed_.wait(hold);
  else changed_.wait_until(hold, next);
}

void Batcher::work() {
  std::unique_lock<std::mutex> hold(lock_);
  for (;;) {
    const auto now = Clock::now();
    auto batch = batches_.begin();
    for (; batch != batches_.end(); ++batch) {
      if (!is_due(*batch, now)) continue;
      batch->closed = true;
      if (!batch->copying) break;
    }
    if (batch == batches_.end()) {
      if (ending_ && batches_.empty()) return;
      wait(hold);
      continue;
    }
    Batches taken;
    taken.splice(taken.begin(), batches_, batch);
    hold.unlock();
    serve(taken.front());
    hold.lock();
    for (Rows& rows : taken.front().inputs)
      if (spare_.size() < spare_.capacity()) spare_.push_back(std::move(rows.buffer));
  }
}

void Batcher::serve(Batch& batch) const {
  auto& parts = batch.parts;
  try {
    std::vector<Outputs> answers = parted(run(batch, 0, batch.rows), batch);
    for (size_t i = 0; i < parts.size(); ++i) parts[i].done(nullptr, std::move(answers[i]));
    return;
  } catch (...) {
    const Error error = handled();
    if (parts.size() == 1) return parts[0].done(&error, {});
  }
  // One of several was at fault: each for itself, so that the others have their answers.
  for (Part& part : parts) {
    try {
      part.done(nullptr, run(batch, part.begin, part.rows));
    } catch (...) {
      const Error error = handled();
      part.done(&error, {});
    }
  }
}

// Runs some rows of a batch, where they lie.
Outputs Batcher::run(Batch& batch, size_t begin, size_t rows) const {
  const auto& specs = engine_->signature.inputs();
  std::vector<std::vector<int64_t>> shapes;
  std::vector<modelport_tensor> inputs;
  for (size_t i = 0; i < specs.size(); ++i) {
    Rows& own = batch.inputs[i];
    shapes.push_back(own.shape);
    if (max_batch_ > 1) shapes.back().insert(shapes.back().begin(), static_cast<int64_t>(rows));
    const void* data = own.buffer.bytes.get() + begin * own.elements * specs[i].dtype->bytes;
    if (specs[i].dtype->code == MODELPORT_STRING) {
      own.pointers.clear();
      for (size_t k = 0; k < rows * own.elements; ++k)
        own.pointers.push_back(own.texts[begin * own.elements + k].c_str());
      data = own.pointers.data();
    }
    inputs.push_back({specs[i].name.c_str(), specs[i].dtype->code, nullptr, shapes.back().size(), data});
  }
  for (size_t i = 0; i < inputs.size(); ++i) inputs[i].shape = shapes[i].data();
  engine_->signature.examine(inputs.data(), inputs.size());
  return engine_->run(inputs.data(), inputs.size(), all_outputs_);
}

// Each request's part of every output, without a copy.
std::vector<Outputs> Batcher::parted(const Outputs& outputs, const Batch& batch) const {
  if (batch.parts.size() == 1) return {outputs};
  std::vector<size_t> strides;
  for (const Output& output : outputs.items) {
    if (output.shape.empty() || static_cast<size_t>(output.shape[0]) != batch.rows)
      throw run_error("output " + quoted(output.spec->name) + " has shape " +
                      listed(output.shape.data(), output.shape.size()) + " for a batch of " +
                      std::to_string(batch.rows));
    strides.push_back(element_count(output.view()) / std::max<size_t>(batch.rows, 1) * find_dtype(output.dtype)->bytes);
  }
  std::vector<Outputs> answers;
  for (const Part& part : batch.parts) {
    answers.push_back(outputs);
    for (size_t i = 0; i < strides.size(); ++i) {
      Output& own = answers.back().items[i];
      own.shape[0] = static_cast<int64_t>(part.rows);
      own.data = static_cast<const char*>(own.data) + part.begin * strides[i];
    }
  }
  return answers;
}

}  // namespace modelport::runtime
