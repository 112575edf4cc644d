// What runs a model, whatever runs it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bundle.h"
#include "signature.h"

namespace modelport::runtime {

struct LoadOptions {
  bool trust = false;
  std::string key;
  std::string onnxruntime;
  int threads = -1;
  int spinning = -1;
  std::string graph_optimization;
};

struct Output {
  const TensorSpec* spec;
  modelport_dtype dtype;
  std::vector<int64_t> shape;
  const void* data;

  modelport_tensor view() const { return {spec->name.c_str(), dtype, shape.data(), shape.size(), data}; }
};

// Tensors, and what holds their memory.
struct Outputs {
  std::vector<Output> items;
  std::shared_ptr<const void> owner;
};

class Engine : public std::enable_shared_from_this<Engine> {
 public:
  Engine(Signature of_model, const Target& runs_on, std::string run_by)
      : signature(std::move(of_model)), target(runs_on.text()), runtime(std::move(run_by)) {}
  virtual ~Engine() = default;
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Runs the model on inputs that `signature` has examined, and gives the outputs at some places of
  // it. From any thread.
  virtual Outputs run(const modelport_tensor* inputs, size_t count, const std::vector<size_t>& wanted) const = 0;

  const Signature signature;
  const std::string target;
  const std::string runtime;  // name and version of what runs it
};

// Opens the engine of a bundle for a target; see modelport_load.
std::shared_ptr<Engine> load(const std::string& path, const std::string& target, const LoadOptions& options);

// Each backend opens what its artifact names.
std::shared_ptr<Engine> load_onnxruntime(const Bundle& bundle, const Artifact& artifact, Signature signature,
                                         const LoadOptions& options);
#ifdef MODELPORT_TENSORRT
std::shared_ptr<Engine> load_tensorrt(const Bundle& bundle, const Artifact& artifact, Signature signature);
#endif

}  // namespace modelport::runtime
