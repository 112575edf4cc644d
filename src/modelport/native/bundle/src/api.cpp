// The C API: exceptions become errors, objects become handles.

#include <memory>
#include <new>

#include "batcher.h"
#include "engine.h"
#include "error.h"
#include "modelport/modelport.h"

using namespace modelport::runtime;

struct modelport_error {
  Error error;
};
struct modelport_engine {
  std::shared_ptr<Engine> engine;
};
struct modelport_outputs {
  Outputs outputs;
};
struct modelport_batcher {
  Batcher batcher;
};

namespace {

// Made before it is needed: there may be no memory then. It is not released.
modelport_error no_memory{run_error("out of memory")};

modelport_error* handed_over(Error error) noexcept {
  auto* made = new (std::nothrow) modelport_error{std::move(error)};
  return made ? made : &no_memory;
}

// Runs the body of a C function: nothing that is thrown may leave it, and what was thrown becomes its
// error.
template <class Body>
modelport_error* guarded(Body&& body) noexcept {
  try {
    body();
    return nullptr;
  } catch (...) {
    return handed_over(handled());
  }
}

void require(bool holds, const char* what) {
  if (!holds) throw usage_error(what);
}

void require_tensors(const modelport_tensor* tensors, size_t count) {
  require(tensors || !count, "the inputs are null");
  for (size_t i = 0; i < count; ++i) {
    require(tensors[i].name, "an input has no name");
    require(tensors[i].shape || !tensors[i].rank, "an input has no shape");
  }
}

}  // namespace

extern "C" {

modelport_error_kind modelport_error_get_kind(const modelport_error* error) { return error->error.kind; }
const char* modelport_error_what(const modelport_error* error) { return error->error.happened.c_str(); }
const char* modelport_error_where(const modelport_error* error) { return error->error.details.where.c_str(); }
const char* modelport_error_why(const modelport_error* error) { return error->error.details.why.c_str(); }
const char* modelport_error_fix(const modelport_error* error) { return error->error.details.fix.c_str(); }
const char* modelport_error_text(const modelport_error* error) { return error->error.text.c_str(); }
void modelport_error_release(modelport_error* error) {
  if (error != &no_memory) delete error;
}

modelport_error* modelport_load(const char* path, const modelport_load_options* options, modelport_engine** engine) {
  return guarded([&] {
    require(path && engine, "modelport_load needs a path and a place for the engine");
    const modelport_load_options given = options ? *options : modelport_load_options MODELPORT_LOAD_OPTIONS;
    const auto text = [](const char* value) { return std::string(value ? value : ""); };
    const LoadOptions wanted{given.trust != 0, text(given.key), text(given.onnxruntime),
                             given.threads,    given.spinning,  text(given.graph_optimization)};
    *engine = new modelport_engine{load(path, text(given.target), wanted)};
  });
}

void modelport_engine_release(modelport_engine* engine) { delete engine; }
const char* modelport_engine_target(const modelport_engine* engine) { return engine->engine->target.c_str(); }
const char* modelport_engine_runtime(const modelport_engine* engine) { return engine->engine->runtime.c_str(); }
size_t modelport_engine_input_count(const modelport_engine* engine) {
  return engine->engine->signature.inputs().size();
}
size_t modelport_engine_output_count(const modelport_engine* engine) {
  return engine->engine->signature.outputs().size();
}
modelport_spec modelport_engine_input(const modelport_engine* engine, size_t index) {
  return engine->engine->signature.inputs()[index].view();
}
modelport_spec modelport_engine_output(const modelport_engine* engine, size_t index) {
  return engine->engine->signature.outputs()[index].view();
}

modelport_error* modelport_run(const modelport_engine* engine, const modelport_tensor* inputs, size_t input_count,
                               const char* const* wanted, size_t wanted_count, modelport_outputs** outputs) {
  return guarded([&] {
    require(engine && outputs, "modelport_run needs an engine and a place for the outputs");
    require_tensors(inputs, input_count);
    const Engine& found = *engine->engine;
    found.signature.examine(inputs, input_count);
    *outputs = new modelport_outputs{found.run(inputs, input_count, found.signature.requested(wanted, wanted_count))};
  });
}

size_t modelport_outputs_count(const modelport_outputs* outputs) { return outputs->outputs.items.size(); }
modelport_tensor modelport_outputs_get(const modelport_outputs* outputs, size_t index) {
  return outputs->outputs.items[index].view();
}
void modelport_outputs_release(modelport_outputs* outputs) { delete outputs; }

modelport_error* modelport_batcher_create(const modelport_engine* engine, size_t max_batch, int64_t max_delay_us,
                                          modelport_batcher** batcher) {
  return guarded([&] {
    require(engine && batcher, "modelport_batcher_create needs an engine and a place for the batcher");
    *batcher = new modelport_batcher{{engine->engine, max_batch, std::chrono::microseconds(max_delay_us)}};
  });
}

void modelport_submit(modelport_batcher* batcher, const modelport_tensor* inputs, size_t input_count,
                      modelport_done done, void* user) {
  const auto tell = [done, user](const Error* error, Outputs&& outputs) noexcept {
    modelport_outputs* made = nullptr;
    modelport_error* failed = guarded([&] {
      if (error) throw Error(*error);
      made = new modelport_outputs{std::move(outputs)};
    });
    done(user, failed, made);
  };
  modelport_error* failed = guarded([&] {
    require_tensors(inputs, input_count);
    batcher->batcher.submit(inputs, input_count, tell);
  });
  if (failed) done(user, failed, nullptr);
}

void modelport_batcher_release(modelport_batcher* batcher) { delete batcher; }

}  // extern "C"
