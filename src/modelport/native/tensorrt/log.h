// What plugins say, to TensorRT's logger.
#pragma once

#include <NvInferRuntime.h>

#include "modelport/table.h"

namespace modelport::trt {

void set_logger_finder(nvinfer1::ILoggerFinder* finder);

// Logs why an operator failed, in the layer that is named, if any: to the logger of the engine that
// calls; to stderr before TensorRT has said where it is. It takes no memory.
void log_failure(const char* op, const char* layer, const char* why) noexcept;

// Runs the body of a function that TensorRT calls: nothing that is thrown may leave it. What was
// thrown is logged. Whether nothing was.
template <class Body>
bool guarded(const char* op, const char* layer, Body&& body) noexcept {
  try {
    body();
    return true;
  } catch (...) {
    log_failure(op, layer, what_was_thrown());
    return false;
  }
}

}  // namespace modelport::trt
