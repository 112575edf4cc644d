#include "manifest.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "digest.h"
#include "error.h"

namespace modelport::runtime {
namespace {

using nlohmann::json;

// What the content cannot be; its text becomes an error's reason.
using Wrong = std::invalid_argument;

// The last bytes of the file: this, the digits of the SHA-256 of all bytes before, and this.
const std::string seal_start = ",\n  \"sha256\": \"";
const std::string seal_end = "\"\n}\n";
constexpr size_t digits = 64;

// Two values of one name would be read differently by different readers.
json parse_strictly(const std::string& data) {
  if (data.compare(0, 3, "\xef\xbb\xbf") == 0) throw Wrong("it begins with a byte order mark");
  std::vector<std::set<std::string>> names;
  json content = json::parse(data, [&](int, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::object_start) names.emplace_back();
    if (event == json::parse_event_t::object_end) names.pop_back();
    if (event == json::parse_event_t::key && !names.back().insert(parsed.get<std::string>()).second)
      throw Wrong("a name is twice in an object");
    return true;
  });
  if (!content.is_object()) throw Wrong("it is no object");
  return content;
}

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
  const auto path = value.get<std::string>();
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
  spec.name = entry.at("name").get<std::string>();
  spec.dtype = find_dtype(entry.at("dtype").get<std::string>());
  if (!spec.dtype) throw Wrong("unknown dtype " + entry.at("dtype").dump());
  spec.ranked = !entry.at("shape").is_null();
  if (!spec.ranked) return spec;
  for (const json& size : list_in(entry, "shape")) {
    spec.axes.push_back({size.is_string() ? -1 : count_of(size, "a tensor's size"), "", 0, -1, 1});
    spec.axis_names.push_back(size.is_string() ? size.get<std::string>() : "");
  }
  return spec;
}

void read_signature(const json& signature, Manifest& manifest) {
  for (const json& entry : list_in(signature, "inputs")) manifest.inputs.push_back(read_spec(entry));
  for (const json& entry : list_in(signature, "outputs")) manifest.outputs.push_back(read_spec(entry));
  for (const auto& [name, range] : object_in(signature, "dimensions").items()) {
    const json& max = range.at("max");
    const Dim dim{count_of(range.at("min"), "min"), max.is_null() ? -1 : count_of(max, "max"),
                  range.contains("multiple") ? count_of(range.at("multiple"), "multiple") : 1};
    if (dim.max >= 0 && dim.max < dim.min) throw Wrong("dimension " + name + " has an empty range");
    if (dim.multiple < 1) throw Wrong("the sizes of dimension " + name + " are multiples of 0");
    manifest.dims[name] = dim;
  }
}

// Whether a backend that takes a text for a path would get somewhere.
bool is_path(const std::string& text, const Manifest& manifest) {
  const bool outside = !text.empty() && (text[0] == '/' || text[0] == '~');
  return outside || text.find('\\') != std::string::npos || ("/" + text + "/").find("/../") != std::string::npos ||
         text.find(any_platform) != std::string::npos ||
         manifest.files.count(std::filesystem::path(text).lexically_normal().generic_string()) != 0;
}

// What an option names is code, and is asked about as such.
void require_own_paths(const json& options, const Artifact& artifact, const Manifest& manifest) {
  if (options.is_structured()) {
    for (const auto& [name, item] : options.items())
      // Adapters have names of tensors, which may look like anything.
      if (name != "adapters") require_own_paths(item, artifact, manifest);
  } else if (options.is_string()) {
    const auto text = options.get<std::string>();
    const auto& own = artifact.files;
    if (is_path(text, manifest) && std::find(own.begin(), own.end(), text) == own.end())
      throw Wrong("the option " + quoted(text) + " is a path that is not one of its files");
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
  require_own_paths(options, artifact, manifest);
  artifact.options = options.dump();
  return artifact;
}

void read_content(const json& content, Manifest& manifest) {
  for (const auto& [name, file] : object_in(content, "files").items()) {
    const auto sum = file.at("sha256").get<std::string>();
    if (sum.size() != digits || sum.find_first_not_of("0123456789abcdef") != std::string::npos)
      throw Wrong(quoted(sum) + " is no SHA-256");
    if (name == manifest_name || name == seal_name) throw Wrong("files names the manifest itself");
    manifest.files[path_of(name)] = {sum, static_cast<uint64_t>(count_of(file.at("bytes"), "bytes"))};
  }
  read_signature(content.at("signature"), manifest);
  for (const json& entry : list_in(content, "targets")) {
    Artifact artifact = read_artifact(entry, manifest);
    for (const Artifact& other : manifest.artifacts)
      if (other.target == artifact.target) throw Wrong("two engines for " + artifact.target.text());
    manifest.artifacts.push_back(std::move(artifact));
  }
  for (const json& name : list_in(content, "cases")) file_of(name, manifest);
  manifest.is_pipeline = !list_in(content, "stages").empty();
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
    content = parse_strictly(data);
    require_format(content.at("format"), where);
    require_sealed(data, where);
    fault = " says what cannot be";
    fix = "deploy again";
    read_content(content, manifest);
    return manifest;
  } catch (const json::parse_error& error) {
    // Its own words repeat bytes of the file, which may be no text.
    const std::string why = "it is no JSON, at byte " + std::to_string(error.byte);
    throw bundle_error(manifest_name + std::string(fault), {where, why, fix});
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
  for (const char c : path)
    if (static_cast<unsigned char>(c) < ' ' || c == '\\' || c == ':') return false;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t end = std::min(path.find('/', begin), path.size());
    const std::string part = path.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace modelport::runtime
