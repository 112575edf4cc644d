// What plugins say, to TensorRT's logger.
#pragma once

#include <NvInferRuntime.h>

#include <string>

namespace modelport::trt {

void set_logger_finder(nvinfer1::ILoggerFinder* finder);

// To the logger of the engine that calls; to stderr before TensorRT has said where it is.
void log_error(const std::string& message);

}  // namespace modelport::trt
