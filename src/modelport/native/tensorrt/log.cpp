#include "log.h"

#include <atomic>
#include <iostream>

namespace modelport::trt {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> finder{nullptr};

}  // namespace

void set_logger_finder(nvinfer1::ILoggerFinder* given) { finder.store(given); }

void log_error(const std::string& message) {
  nvinfer1::ILoggerFinder* known = finder.load();
  nvinfer1::ILogger* logger = known ? known->findLogger() : nullptr;
  if (logger) logger->log(nvinfer1::ILogger::Severity::kERROR, message.c_str());
  else std::cerr << message << std::endl;
}

}  // namespace modelport::trt
