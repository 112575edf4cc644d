#include "log.h"
#include "plugin.h"
#include "types.h"

namespace modelport::trt {

Creator::Creator(size_t op) : index_(op), names_(field_names(library.operators[op])) {
  collection_ = {static_cast<int32_t>(names_.size()), names_.data()};
}

nvinfer1::IPluginV3* Creator::createPlugin(const char* name, const nvinfer1::PluginFieldCollection* fields,
                                           nvinfer1::TensorRTPhase) noexcept {
  Plugin* made = nullptr;
  guarded(getPluginName(), name,
          [&] { made = new Plugin(index_, std::make_shared<const Values>(library.operators[index_], fields)); });
  return made;
}

// Whether an operator has a kernel all of whose tensors plugins may have.
bool has_plugin(size_t op) {
  for (const Choice& choice : choices()) {
    if (choice.op != op) continue;
    const size_t tensors = library.operators[op].inputs.size() + library.operators[op].outputs.size();
    bool fits = true;
    for (size_t i = 0; i < tensors; ++i) fits = fits && in_tensorrt(choice.kernel->parameters[i].dtype);
    if (fits) return true;
  }
  return false;
}

// Made once, and never released: TensorRT's registry keeps them as long as the process lives.
const std::vector<nvinfer1::IPluginCreatorInterface*>& creators() {
  static const auto& all = *new std::vector<nvinfer1::IPluginCreatorInterface*>([] {
    std::vector<nvinfer1::IPluginCreatorInterface*> made;
    for (size_t op = 0; op < library.operators.size(); ++op)
      if (has_plugin(op)) made.push_back(new Creator(op));
    return made;
  }());
  return all;
}

}  // namespace modelport::trt

#define MODELPORT_EXPORT extern "C" __attribute__((visibility("default")))

// The version of TensorRT whose headers the library was compiled with.
MODELPORT_EXPORT int64_t modelport_tensorrt() { return NV_TENSORRT_VERSION; }

// The namespace of the plugins.
MODELPORT_EXPORT const char* modelport_namespace() { return modelport::library.domain; }

MODELPORT_EXPORT void setLoggerFinder(nvinfer1::ILoggerFinder* finder) { modelport::trt::set_logger_finder(finder); }

// None where they cannot be made.
MODELPORT_EXPORT nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
  nvinfer1::IPluginCreatorInterface* const* first = nullptr;
  count = 0;
  modelport::trt::guarded("plugins", nullptr, [&] {
    const auto& all = modelport::trt::creators();
    first = all.data();
    count = static_cast<int32_t>(all.size());
  });
  return first;
}
