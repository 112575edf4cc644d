#include "target.h"

#include <algorithm>
#include <vector>

#include "error.h"

namespace modelport::runtime {
namespace {

struct Vocabulary {
  const char* field;
  std::vector<std::string> words;
  std::string Target::* member;
};

const std::vector<Vocabulary>& vocabularies() {
  static const std::vector<Vocabulary> all{
      {"device", {"cpu", "cuda"}, &Target::device},
      {"provider", {"tensorrt", "tensorrt-rtx", "openvino", "dnnl", "compile"}, &Target::provider},
      {"precision", {"fp32", "tf32", "fp16", "bf16", "int8", "fp8"}, &Target::precision},
  };
  return all;
}

// What runs on GPUs alone.
bool on_gpus(const std::string& name) { return name == "tensorrt" || name == "tensorrt-rtx"; }

bool is_compute_capability(const std::string& token) {
  return (token.size() == 4 || token.size() == 5) && token.compare(0, 2, "sm") == 0 &&
         std::all_of(token.begin() + 2, token.end(), [](char c) { return c >= '0' && c <= '9'; });
}

const Vocabulary& vocabulary_of(const std::string& token, const std::string& text) {
  std::string known;
  for (const Vocabulary& vocabulary : vocabularies()) {
    const auto& words = vocabulary.words;
    if (std::find(words.begin(), words.end(), token) != words.end()) return vocabulary;
    known += std::string(vocabulary.field) + ": " + joined(words) + "; ";
  }
  throw usage_error("unknown token " + quoted(token) + " in target " + quoted(text),
                    {{}, {}, known + "compute capability: sm89 and the like"});
}

}  // namespace

Target Target::parse(const std::string& text) {
  Target target;
  size_t begin = text.find(':');
  target.backend = text.substr(0, begin);
  if (target.backend.empty())
    throw usage_error("target " + quoted(text) + " names no backend", {{}, {}, "write BACKEND[:DEVICE][:PRECISION]"});
  std::vector<const char*> given;
  while (begin != std::string::npos) {
    const size_t end = text.find(':', begin + 1);
    const std::string token = text.substr(begin + 1, end - begin - 1);
    begin = end;
    if (is_compute_capability(token)) {
      target.compute_capabilities += ":" + token;
      continue;
    }
    const Vocabulary& vocabulary = vocabulary_of(token, text);
    std::string& value = target.*vocabulary.member;
    if (std::find(given.begin(), given.end(), vocabulary.field) != given.end())
      throw usage_error("target " + quoted(text) + " has two values for its " + vocabulary.field + ": " + value + ", " +
                        token);
    given.push_back(vocabulary.field);
    value = token;
  }
  const bool says_device = std::find(given.begin(), given.end(), vocabularies()[0].field) != given.end();
  if (!says_device && (on_gpus(target.backend) || on_gpus(target.provider))) target.device = "cuda";
  return target;
}

std::string Target::text() const {
  return backend + ":" + device + (provider.empty() ? "" : ":" + provider) + ":" + precision + compute_capabilities;
}

}  // namespace modelport::runtime
