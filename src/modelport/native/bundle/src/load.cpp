#include "engine.h"

#include "error.h"

namespace modelport::runtime {

std::shared_ptr<Engine> load(const std::string& path, const std::string& target, const LoadOptions& options) {
  Bundle bundle = Bundle::open(path, options.key);
  const Artifact& artifact = bundle.choose(target);
  bundle.trusted_by_caller = options.trust;
  bundle.require_trusted(artifact);
  Manifest& manifest = bundle.manifest;
  Signature signature(std::move(manifest.inputs), std::move(manifest.outputs), manifest.dims);
  if (artifact.target.backend == "onnxruntime")
    return load_onnxruntime(bundle, artifact, std::move(signature), options);
#ifdef MODELPORT_TENSORRT
  if (artifact.target.backend == "tensorrt") return load_tensorrt(bundle, artifact, std::move(signature));
#endif
  throw usage_error("the C++ runtime does not run " + artifact.target.text(),
                    {path,
                     {},
                     artifact.target.backend == "tensorrt" ? "build it with TensorRT: cmake -DMODELPORT_TENSORRT=ON"
                                                           : "ask for an onnxruntime target, or run it from Python"});
}

}  // namespace modelport::runtime
