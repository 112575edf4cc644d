// Calls the C API of bundles with memory that ends at any point. Only failures of modelport's own code
// are asked for, which end before ONNX Runtime is called.
#include <modelport/modelport.h>

#include <cstring>

#include "failing_memory.h"

namespace {

// Whether an error is the one that is expected; without memory it must say that.
bool expected(modelport_error* error, modelport_error_kind kind) {
  if (!error) std::exit((std::fprintf(stderr, "no error\n"), 1));
  const bool good = modelport_error_get_kind(error) == kind && *modelport_error_text(error);
  const bool no_memory = std::strstr(modelport_error_text(error), "out of memory") != nullptr;
  if (!good && !no_memory) std::fprintf(stderr, "%s\n", modelport_error_text(error));
  modelport_error_release(error);
  return good && !no_memory;
}

void keep(void* user, modelport_error* error, modelport_outputs* outputs) {
  modelport_outputs_release(outputs);
  *static_cast<modelport_error**>(user) = error;
}

}  // namespace

// A bundle, and "once" or "for_good".
int main(int, char** arguments) {
  const bool for_good = std::strcmp(arguments[2], "for_good") == 0;
  modelport_engine* engine = nullptr;
  modelport_batcher* batcher = nullptr;
  if (modelport_error* error = modelport_load(arguments[1], nullptr, &engine))
    return std::fprintf(stderr, "%s\n", modelport_error_text(error)), 2;
  if (modelport_error* error = modelport_batcher_create(engine, 2, 0, &batcher))
    return std::fprintf(stderr, "%s\n", modelport_error_text(error)), 2;
  memory::exhaust("modelport_load", for_good, [&] {
    return expected(modelport_load("/no/bundle/of/such/a/name", nullptr, &engine), MODELPORT_USAGE_ERROR);
  });
  memory::exhaust("modelport_run", for_good, [&] {
    modelport_outputs* outputs = nullptr;
    return expected(modelport_run(engine, nullptr, 0, nullptr, 0, &outputs), MODELPORT_RUN_ERROR);
  });
  memory::exhaust("modelport_batcher_create", for_good, [&] {
    modelport_batcher* made = nullptr;
    return expected(modelport_batcher_create(engine, 0, 0, &made), MODELPORT_USAGE_ERROR);
  });
  memory::exhaust("modelport_submit", for_good, [&] {
    modelport_error* error = nullptr;
    modelport_submit(batcher, nullptr, 0, keep, &error);
    return expected(error, MODELPORT_RUN_ERROR);
  });
  modelport_batcher_release(batcher);
  modelport_engine_release(engine);
}
