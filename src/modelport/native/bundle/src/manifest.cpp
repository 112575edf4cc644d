#include "manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "digest.h"
#include "error.h"
#include "option_schema.h"
#include "strict_json.h"

namespace modelport::runtime {
namespace {

using nlohmann::json;

// What the content cannot be; its text becomes an error's reason.
using Wrong = std::invalid_argument;

// The last bytes of the file: this, the digits of the SHA-256 of all bytes before, and this.
const std::string seal_start = ",\n  \"sha256\": \"";
const std::string seal_end = "\"\n}\n";
constexpr size_t digits = 64;
constexpr size_t max_parts = 32, max_files = 1 << 16, max_targets = 64, max_tensors = 4096, max_rank = 64,
                 max_stages = 64;

void require_format(const json& format, const std::string& where) {
  if (format.is_number() && format == bundle_format) return;
  const std::string text = format.is_string() ? quoted(format.get<std::string>()) : format.dump();
  throw bundle_error("the bundle has format " + text + ", this modelport reads " + std::to_string(bundle_format),
                     {where, {}, "install the version of modelport that wrote it, or deploy again"});
}

void require_sealed(const std::string& data, const std::string& where) {
  const size_t length = seal_start.size() + digits + seal_end.size();
  const size_t begin = data.size() < length ? 0 : data.size() - length;
  if (data.substr(begin) == seal_start + sha256(data.data(), begin) + seal_end) return;
  throw bundle_error(std::string(manifest_name) + " was altered: its checksum does not match", {where, {}, copy_again});
}

std::string text_of(const json& value, const char* what) {
  if (!value.is_string()) throw Wrong(std::string(what) + " is no text");
  return value.get<std::string>();
}

// A text of one line.
std::string name_of(const json& value, const char* what) {
  const std::string name = text_of(value, what);
  if (name.find_first_of("\n\t") != std::string::npos) throw Wrong(std::string(what) + " has more than one line");
  return name;
}

void require_few(size_t count, size_t limit, const char* what) {
  if (count > limit)
    throw Wrong("it has " + std::to_string(count) + " " + what + ", more than " + std::to_string(limit));
}

int64_t count_of(const json& value, const char* what) {
  if (!value.is_number_unsigned() || value.get<uint64_t>() > INT64_MAX)
    throw Wrong(std::string(what) + " is " + value.dump() + ", not a size");
  return value.get<int64_t>();
}

// A field that is a list, or an object: null would pass for an empty one.
const json& list_in(const json& holder, const char* name) {
  if (!holder.at(name).is_array()) throw Wrong(std::string(name) + " is no list");
  return holder.at(name);
}

const json& object_in(const json& holder, const char* name) {
  if (!holder.at(name).is_object()) throw Wrong(std::string(name) + " is no object");
  return holder.at(name);
}

std::string path_of(const json& value) {
  const auto path = text_of(value, "a path");
  if (!is_inside(path)) throw Wrong(quoted(path) + " lies outside the bundle, or is not written plainly");
  return path;
}

std::string file_of(const json& value, const Manifest& manifest) {
  const std::string path = path_of(value);
  if (!manifest.files.count(path)) throw Wrong("there is no checksum of " + path);
  return path;
}

TensorSpec read_spec(const json& entry) {
  TensorSpec spec;
  spec.name = name_of(entry.at("name"), "a tensor's name");
  spec.dtype = find_dtype(entry.at("dtype").get<std::string>());
  if (!spec.dtype) throw Wrong("unknown dtype " + entry.at("dtype").dump());
  spec.ranked = !entry.at("shape").is_null();
  if (!spec.ranked) return spec;
  for (const json& size : list_in(entry, "shape")) {
    spec.axes.push_back({size.is_string() ? -1 : count_of(size, "a tensor's size"), "", 0, -1, 1});
    spec.axis_names.push_back(size.is_string() ? name_of(size, "a dimension's name") : "");
  }
  require_few(spec.axes.size(), max_rank, "axes");
  return spec;
}

void read_signature(const json& signature, Manifest& manifest) {
  for (const json& entry : list_in(signature, "inputs")) manifest.inputs.push_back(read_spec(entry));
  for (const json& entry : list_in(signature, "outputs")) manifest.outputs.push_back(read_spec(entry));
  require_few(manifest.inputs.size() + manifest.outputs.size(), max_tensors, "tensors");
  for (const auto& [name, range] : object_in(signature, "dimensions").items()) {
    name_of(name, "a dimension's name");
    const json& max = range.at("max");
    const Dim dim{count_of(range.at("min"), "min"), max.is_null() ? -1 : count_of(max, "max"),
                  range.contains("multiple") ? count_of(range.at("multiple"), "multiple") : 1};
    if (dim.multiple < 1) throw Wrong("the sizes of dimension " + name + " are multiples of 0");
    const int64_t least = dim.min / dim.multiple + (dim.min % dim.multiple != 0);
    if (dim.max >= 0 && dim.max / dim.multiple < least) throw Wrong("dimension " + name + " has an empty range");
    manifest.dims[name] = dim;
  }
}

bool has_suffix(const std::string& text, const std::string& suffix) {
  return text.size() >= suffix.size() && text.compare(text.size() - suffix.size(), suffix.size(), suffix) == 0;
}

Artifact read_artifact(const json& entry, const Manifest& manifest) {
  Artifact artifact;
  artifact.target = Target::parse(entry.at("target").get<std::string>());
  artifact.graph = file_of(entry.at("graph"), manifest);
  if (!has_suffix(artifact.graph, ".onnx")) throw Wrong(artifact.graph + " is no graph");
  for (const json& name : list_in(entry, "files")) {
    const std::string path = path_of(name);
    const bool for_any = path.find(any_platform) != std::string::npos;
    artifact.files.push_back(for_any ? path : file_of(name, manifest));
  }
  const json& options = object_in(entry, "options");
  require_options(artifact.target.backend, options, {artifact.files.begin(), artifact.files.end()});
  text_of(entry.at("key"), "key");
  artifact.options = options.dump();
  return artifact;
}

void require_texts(const json& object, const char* what) {
  for (const json& item : object) text_of(item, what);
}

// What C++ has no use for: Python reads it, and both refuse the same.
void read_descriptions(const json& content) {
  name_of(content.at("name"), "name");
  for (const json& target : object_in(content, "verification"))
    if (!target.is_object()) throw Wrong("a target's verification is no object");
  for (const json& finding : list_in(content, "findings"))
    if (!finding.is_object()) throw Wrong("a finding is no object");
  const json& provenance = object_in(content, "provenance");
  for (const char* name : {"versions", "machine"})
    if (provenance.contains(name)) require_texts(object_in(provenance, name), name);
  if (content.contains("outputs")) require_texts(object_in(content, "outputs"), "outputs");
  const json& result = content.at("result");
  if (result.is_null()) return;
  text_of(result.at("kind"), "a result's kind");
  if (result.contains("labels"))
    for (const json& label : list_in(result, "labels")) name_of(label, "a label");
  if (result.contains("outputs")) require_texts(object_in(result, "outputs"), "a result's outputs");
}

void read_content(const json& content, Manifest& manifest) {
  for (const auto& [name, file] : object_in(content, "files").items()) {
    const auto sum = file.at("sha256").get<std::string>();
    if (sum.size() != digits || sum.find_first_not_of("0123456789abcdef") != std::string::npos)
      throw Wrong(quoted(sum) + " is no SHA-256");
    if (name == manifest_name || name == seal_name) throw Wrong("files names the manifest itself");
    manifest.files[path_of(name)] = {sum, static_cast<uint64_t>(count_of(file.at("bytes"), "bytes"))};
  }
  require_few(manifest.files.size(), max_files, "files");
  read_signature(content.at("signature"), manifest);
  require_few(list_in(content, "targets").size(), max_targets, "targets");
  for (const json& entry : list_in(content, "targets")) {
    Artifact artifact = read_artifact(entry, manifest);
    for (const Artifact& other : manifest.artifacts)
      if (other.target == artifact.target) throw Wrong("two engines for " + artifact.target.text());
    manifest.artifacts.push_back(std::move(artifact));
  }
  for (const json& name : list_in(content, "cases")) file_of(name, manifest);
  require_few(list_in(content, "stages").size(), max_stages, "stages");
  for (const json& stage : list_in(content, "stages")) {
    name_of(stage.at("name"), "a stage's name");
    file_of(text_of(stage.at("bundle"), "a stage's bundle") + "/" + manifest_name, manifest);
    require_texts(object_in(stage, "inputs"), "a stage's inputs");
    count_of(stage.at("batch"), "a stage's batch");
  }
  manifest.is_pipeline = !list_in(content, "stages").empty();
  read_descriptions(content);
}

std::string folder_of(const std::string& path) {
  const size_t end = path.rfind('/');
  return end == std::string::npos ? "" : path.substr(0, end);
}

}  // namespace

Manifest Manifest::parse(const std::string& data, const std::string& where) {
  Manifest manifest;
  json content;
  const char* fault = " is not readable";
  const char* fix = copy_again;
  try {
    content = read_json(data);
    if (!content.is_object()) throw Wrong("it is no object");
    require_format(content.at("format"), where);
    require_sealed(data, where);
    fault = " says what cannot be";
    fix = "deploy again";
    read_content(content, manifest);
    return manifest;
  } catch (const json::exception& error) {
    throw bundle_error(manifest_name + std::string(fault), {where, error.what(), fix});
  } catch (const Wrong& error) {
    throw bundle_error(manifest_name + std::string(fault), {where, error.what(), fix});
  } catch (const Error& error) {
    if (error.kind == MODELPORT_BUNDLE_ERROR) throw;
    throw bundle_error(manifest_name + std::string(fault), {where, error.happened, fix});
  }
}

std::vector<std::string> Manifest::code_of(const Artifact& artifact) const {
  std::set<std::string> code(artifact.files.begin(), artifact.files.end());
  for (const auto& [name, file] : files)
    if (folder_of(name) == folder_of(artifact.graph) && !has_suffix(name, ".onnx") && !has_suffix(name, ".data"))
      code.insert(name);
  return {code.begin(), code.end()};
}

bool is_inside(const std::string& path) {
  if (!is_text(path) || path.find_first_of("\\:\t\n") != std::string::npos) return false;
  size_t parts = 0;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == ".." || part.size() > 255 || ++parts > max_parts) return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace modelport::runtime
