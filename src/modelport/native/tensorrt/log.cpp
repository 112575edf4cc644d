#include "log.h"

#include <atomic>
#include <cstdio>

#include "library.h"

namespace modelport::trt {
namespace {

std::atomic<nvinfer1::ILoggerFinder*> finder{nullptr};

}  // namespace

void set_logger_finder(nvinfer1::ILoggerFinder* given) { finder.store(given); }

void log_failure(const char* op, const char* layer, const char* why) noexcept {
  const bool named = layer && *layer;
  char message[4096];
  std::snprintf(message, sizeof message, "%s::%s%s%s%s: %s", library.domain, op, named ? " (layer '" : "",
                named ? layer : "", named ? "')" : "", why);
  nvinfer1::ILoggerFinder* known = finder.load();
  nvinfer1::ILogger* logger = known ? known->findLogger() : nullptr;
  if (logger) logger->log(nvinfer1::ILogger::Severity::kERROR, message);
  else std::fprintf(stderr, "%s\n", message);
}

}  // namespace modelport::trt
