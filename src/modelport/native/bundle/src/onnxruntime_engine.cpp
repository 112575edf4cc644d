// Running on ONNX Runtime.

#include <algorithm>
#include <cstring>
#include <deque>
#include <nlohmann/json.hpp>

#include "engine.h"
#include "error.h"
#include "external_data.h"
#include "library_file.h"
#include "onnxruntime.h"

namespace modelport::runtime {
namespace {

using namespace ort;
using nlohmann::json;

const std::vector<std::pair<std::string, int32_t>> levels{{"none", 0}, {"basic", 1}, {"extended", 2}, {"all", 99}};

// The values of a run that are ONNX Runtime's.
class Values {
 public:
  Values(const Api& api, size_t count) : api_(api), values_(count) {}
  ~Values() {
    for (Value* value : values_)
      if (value) api_.call<void>(ReleaseValue, value);
  }
  Values(const Values&) = delete;
  Values& operator=(const Values&) = delete;
  Value** data() { return values_.data(); }
  Value*& operator[](size_t i) { return values_[i]; }

 private:
  const Api& api_;
  std::vector<Value*> values_;
};

// What the outputs of a run live in.
struct Kept {
  Kept(const Api& api, std::shared_ptr<const Engine> from, size_t count)
      : engine(std::move(from)), values(api, count) {}
  std::shared_ptr<const Engine> engine;  // its allocator outlives the values
  Values values;
  std::deque<std::string> characters;  // texts stay where they are
  std::vector<std::vector<const char*>> strings;
};

struct Settings {
  int threads = 0;
  bool spinning = true;
  std::string level = "all";
  std::vector<std::string> libraries;
};

Settings read_settings(const json& recorded, const LoadOptions& given) {
  Settings settings;
  std::vector<std::string> unknown;
  for (const auto& [name, value] : recorded.items()) {
    if (name == "threads" && value.is_number_integer()) settings.threads = value.get<int>();
    else if (name == "spinning" && value.is_boolean()) settings.spinning = value.get<bool>();
    else if (name == "graph_optimization" && value.is_string()) settings.level = value.get<std::string>();
    else if (name == "libraries" && value.is_array())
      for (const json& path : value) settings.libraries.push_back(path.is_string() ? path.get<std::string>() : "");
    // Of providers that C++ does not run, and of no tensor.
    else if (name != "provider_options" && !(name == "adapters" && value.empty())) unknown.push_back(name);
  }
  if (!unknown.empty())
    throw usage_error("the onnxruntime backend has no option " + joined(unknown),
                      {{}, {}, "its options are: graph_optimization, libraries, threads, spinning"});
  if (given.threads >= 0) settings.threads = given.threads;
  if (given.spinning >= 0) settings.spinning = given.spinning != 0;
  if (!given.graph_optimization.empty()) settings.level = given.graph_optimization;
  return settings;
}

int32_t level_of(const std::string& name) {
  std::vector<std::string> known;
  for (const auto& [text, level] : levels) {
    if (text == name) return level;
    known.push_back(text);
  }
  throw usage_error("unknown graph_optimization " + quoted(name), {{}, {}, "one of: " + joined(known)});
}

class OnnxRuntimeEngine final : public Engine {
 public:
  OnnxRuntimeEngine(const Runtime& opened, Handle<Session> session, Signature of_model, const Target& runs_on)
      : Engine(std::move(of_model), runs_on, "ONNX Runtime " + opened.version), runtime_(opened), api_(opened.api),
        session_(std::move(session)) {}

  Outputs run(const modelport_tensor* inputs, size_t count, const std::vector<size_t>& wanted) const override {
    Values values(api_, count);
    std::vector<const char*> names(count + wanted.size());
    for (size_t i = 0; i < count; ++i) {
      names[i] = inputs[i].name;
      values[i] = value_of(inputs[i]);
    }
    for (size_t i = 0; i < wanted.size(); ++i) names[count + i] = signature.outputs()[wanted[i]].name.c_str();
    auto kept = std::make_shared<Kept>(api_, shared_from_this(), wanted.size());
    Status* failed =
        api_.call(ort::Run, session_.get(), static_cast<const RunOptions*>(nullptr),
                  static_cast<const char* const*>(names.data()), static_cast<Value* const*>(values.data()), count,
                  static_cast<const char* const*>(names.data() + count), wanted.size(), kept->values.data());
    if (failed) throw failure(failed, inputs, count);
    Outputs outputs;
    outputs.items.reserve(wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i)
      outputs.items.push_back(read(*kept, kept->values[i], signature.outputs()[wanted[i]]));
    outputs.owner = std::move(kept);
    return outputs;
  }

 private:
  // The tensor where it lies; strings are copied.
  Value* value_of(const modelport_tensor& tensor) const {
    const size_t elements = element_count(tensor);
    Value* value = nullptr;
    if (tensor.dtype == MODELPORT_STRING) {
      require(api_.call(CreateTensorAsOrtValue, runtime_.allocator, tensor.shape, tensor.rank,
                        static_cast<int32_t>(tensor.dtype), &value));
      Status* failed = api_.call(FillStringTensor, value, static_cast<const char* const*>(tensor.data), elements);
      if (failed) api_.call<void>(ReleaseValue, value);
      require(failed);
      return value;
    }
    static char nothing[1];  // an empty tensor has a place, too
    void* data = tensor.data ? const_cast<void*>(tensor.data) : nothing;
    const size_t bytes = elements * find_dtype(tensor.dtype)->bytes;
    require(api_.call(CreateTensorWithDataAsOrtValue, static_cast<const MemoryInfo*>(runtime_.memory), data, bytes,
                      tensor.shape, tensor.rank, static_cast<int32_t>(tensor.dtype), &value));
    return value;
  }

  Output read(Kept& kept, Value* value, const TensorSpec& spec) const {
    Output output{&spec, spec.dtype->code, {}, nullptr};
    TensorInfo* opened = nullptr;
    require(api_.call(GetTensorTypeAndShape, static_cast<const Value*>(value), &opened));
    const Handle<TensorInfo> info(opened, {&api_, ReleaseTensorTypeAndShapeInfo});
    const auto* tensor = static_cast<const TensorInfo*>(opened);
    size_t rank = 0;
    int32_t type = 0;
    require(api_.call(GetDimensionsCount, tensor, &rank));
    output.shape.resize(rank);
    require(api_.call(GetDimensions, tensor, output.shape.data(), rank));
    require(api_.call(GetTensorElementType, tensor, &type));
    output.dtype = static_cast<modelport_dtype>(type);
    if (!find_dtype(output.dtype))
      throw run_error("output " + quoted(spec.name) + " has elements of ONNX's type " + std::to_string(type) +
                      ", expected " + spec.dtype->name);
    if (output.dtype == MODELPORT_STRING) {
      output.data = read_strings(kept, value, element_count(output.view()));
    } else {
      void* data = nullptr;
      require(api_.call(GetTensorMutableData, value, &data));
      output.data = data;
    }
    return output;
  }

  const void* read_strings(Kept& kept, Value* value, size_t count) const {
    size_t bytes = 0;
    const auto* tensor = static_cast<const Value*>(value);
    require(api_.call(GetStringTensorDataLength, tensor, &bytes));
    std::string joined_up(bytes, '\0');
    std::vector<size_t> begins(count);
    require(
        api_.call(GetStringTensorContent, tensor, static_cast<void*>(joined_up.data()), bytes, begins.data(), count));
    // Each text is followed by a zero, which the content is not.
    std::string characters;
    characters.reserve(bytes + count);
    std::vector<size_t> places(count);
    for (size_t i = 0; i < count; ++i) {
      const size_t end = i + 1 < count ? begins[i + 1] : bytes;
      places[i] = characters.size();
      characters.append(joined_up, begins[i], end - begins[i]);
      characters += '\0';
    }
    kept.characters.push_back(std::move(characters));
    std::vector<const char*> texts(count + 1);
    for (size_t i = 0; i < count; ++i) texts[i] = kept.characters.back().data() + places[i];
    kept.strings.push_back(std::move(texts));
    return kept.strings.back().data();
  }

  void require(Status* status) const {
    if (status) throw run_error("ONNX Runtime failed", {{}, explain(api_, status), {}});
  }

  Error failure(Status* status, const modelport_tensor* inputs, size_t count) const {
    std::vector<std::string> shapes;
    for (size_t i = 0; i < count; ++i)
      shapes.push_back(std::string(inputs[i].name) + " " + listed(inputs[i].shape, inputs[i].rank));
    return run_error("ONNX Runtime failed on " + joined(shapes), {{}, explain(api_, status), {}});
  }

  const Runtime& runtime_;
  const Api& api_;
  Handle<Session> session_;
};

void register_library(const Api& api, SessionOptions* options, const TrustedCode& library) {
  const std::filesystem::path path = library.where();
  const std::string copy = library.path();
  require_loadable(copy, path);
  void* handle = nullptr;
  Status* failed = api.call(RegisterCustomOpsLibrary, options, copy.c_str(), &handle);
  if (!failed) return;
  const std::string why = explain(api, failed);
  // That of onnxruntime-extensions is a module of Python, as its wheel has it.
  const bool needs_python = why.find("undefined symbol: Py") != std::string::npos;
  throw build_error("ONNX Runtime does not take the library of operators " + path.filename().string(),
                    {path.string(), why,
                     needs_python ? "start the program with Python's library: LD_PRELOAD=libpython3.11.so.1.0, "
                                    "of the version that the bundle was deployed with"
                                  : "build it on this machine: modelport ops build"});
}

}  // namespace

std::shared_ptr<Engine> load_onnxruntime(const Bundle& bundle, const Artifact& artifact, Signature signature,
                                         const LoadOptions& given) {
  const Settings settings = read_settings(json::parse(artifact.options), given);
  const int32_t level = level_of(settings.level);
  const Target& target = artifact.target;
  if (target.device != "cpu" || !target.provider.empty() || !target.compute_capabilities.empty())
    throw usage_error("the C++ runtime does not run " + target.text(),
                      {bundle.where, {}, "it runs ONNX Runtime on the CPU"});
  const Runtime& runtime = Runtime::open(given.onnxruntime);
  const Api& api = runtime.api;
  require_external_data(bundle, artifact.graph);
  const std::string place = (bundle.folder / artifact.graph).string();
  const auto require = [&](Status* status) {
    if (!status) return;
    const std::string why = explain(api, status);
    const bool no_kernel = why.find("NOT_IMPLEMENTED") != std::string::npos;
    throw build_error("ONNX Runtime " + runtime.version + " cannot load " + place,
                      {{},
                       why,
                       no_kernel ? "it has no kernel for this operator with these dtypes: compute in "
                                   "float32 between casts, or deploy for another target"
                                 : "`modelport check` says what is wrong with a graph"});
  };
  SessionOptions* made = nullptr;
  require(api.call(CreateSessionOptions, &made));
  const Handle<SessionOptions> options(made, {&api, ReleaseSessionOptions});
  require(api.call(SetSessionLogSeverityLevel, made, 4));
  require(api.call(SetIntraOpNumThreads, made, settings.threads));
  require(api.call(SetSessionGraphOptimizationLevel, made, level));
  if (!settings.spinning) require(api.call(AddSessionConfigEntry, made, "session.intra_op.allow_spinning", "0"));
  for (const std::string& library : settings.libraries)
    register_library(api, made, bundle.trusted_code(bundle.here(library)));
  Session* session = nullptr;
  require(api.call(CreateSession, static_cast<const Env*>(runtime.env), place.c_str(),
                   static_cast<const SessionOptions*>(made), &session));
  return std::make_shared<OnnxRuntimeEngine>(runtime, Handle<Session>(session, {&api, ReleaseSession}),
                                             std::move(signature), target);
}

}  // namespace modelport::runtime
