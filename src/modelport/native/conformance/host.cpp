// Plays TensorRT's part for a library of plugins: all that TensorRT asks of a plugin from the
// network to the engine that runs, in its order. It prints what it finds, a fact a line.
#include <dlfcn.h>

#include <cstring>

#include "gpu.h"
#include "play.h"
#include "report.h"

using namespace nvinfer1;

namespace {

class Logger final : public ILogger {
 public:
  void log(Severity, const char* message) noexcept override {
    logged += (logged.empty() ? "" : "; ") + std::string(message);
  }
};

class Finder final : public ILoggerFinder {
 public:
  ILogger* findLogger() override { return &logger_; }

 private:
  Logger logger_;
};

template <class Function>
Function* symbol(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (!found) throw std::runtime_error(std::string("the library has no ") + name);
  return reinterpret_cast<Function*>(found);
}

IPluginCreatorV3One* find_creator(IPluginCreatorInterface* const* creators, int32_t count, const Case& wanted) {
  for (int32_t i = 0; i < count; ++i) {
    auto& creator = static_cast<IPluginCreatorV3One&>(*creators[i]);
    if (wanted.name == creator.getPluginName() && wanted.space == creator.getPluginNamespace()) return &creator;
  }
  throw std::runtime_error("the library has no creator of " + wanted.space + "::" + wanted.name);
}

void list(IPluginCreatorInterface* const* creators, int32_t count) {
  for (int32_t i = 0; i < count; ++i) {
    demand(!std::strcmp(creators[i]->getInterfaceInfo().kind, "PLUGIN CREATOR_V3ONE"),
           "a creator is no IPluginCreatorV3One");
    auto& creator = static_cast<IPluginCreatorV3One&>(*creators[i]);
    std::string fields;
    const PluginFieldCollection* names = creator.getFieldNames();
    for (int32_t field = 0; field < names->nbFields; ++field) fields += std::string(" ") + names->fields[field].name;
    say("creator", creator.getPluginNamespace(), creator.getPluginName(), creator.getPluginVersion(), fields);
  }
}

int play(const char* path) {
  const Job job = read_job(path);
  void* library = dlopen(job.library.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw std::runtime_error(dlerror());
  auto* set_finder = symbol<void(ILoggerFinder*)>(library, "setLoggerFinder");
  auto* get_creators = symbol<IPluginCreatorInterface* const*(int32_t&)>(library, "getCreators");
  Finder finder;
  set_finder(&finder);
  int32_t count = 0;
  IPluginCreatorInterface* const* creators = get_creators(count);
  list(creators, count);
  std::string why;
  const bool gpu = has_gpu(why);
  say("gpu", gpu ? "yes" : why);
  for (const Case& given : job.cases) {
    std::cout << "case " << given.number << std::endl;  // flushed: a crash must not hide whose it is
    try {
      play_case(*find_creator(creators, count, given), given, gpu);
      say("good");
    } catch (const std::runtime_error& error) {
      say("wrong", error.what());
    }
  }
  set_finder(nullptr);
  return 0;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    if (count != 2) throw std::runtime_error("one argument: the file that says what to do");
    return play(arguments[1]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << std::endl;
    return 2;
  }
}
