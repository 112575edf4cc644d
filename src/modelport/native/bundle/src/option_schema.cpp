#include "option_schema.h"

#include <algorithm>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <vector>

#include "error.h"

namespace modelport::runtime {
namespace {

using nlohmann::json;
using Files = std::set<std::string>;
using Check = std::function<bool(const json&, const Files&)>;
using Schema = std::map<std::string, Check>;

constexpr int64_t max_threads = 256;

bool only(const std::string& text, const char* more, bool capitals = true) {
  return std::all_of(text.begin(), text.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (capitals && c >= 'A' && c <= 'Z') ||
           std::string(more).find(c) != std::string::npos;
  });
}

Check one_of(std::vector<std::string> words) {
  return [words = std::move(words)](const json& value, const Files&) {
    return value.is_string() && std::find(words.begin(), words.end(), value.get<std::string>()) != words.end();
  };
}

bool is_flag(const json& value, const Files&) { return value.is_boolean(); }

bool is_threads(const json& value, const Files&) {
  return value.is_number_unsigned() && value.get<uint64_t>() <= max_threads;
}

bool is_file(const json& value, const Files& files) {
  return value.is_string() && files.count(value.get<std::string>());
}

bool are_files(const json& value, const Files& files) {
  return value.is_array() &&
         std::all_of(value.begin(), value.end(), [&](const json& item) { return is_file(item, files); });
}

bool is_profile(const std::string& name) {
  for (const char* provider : {"trt", "nv"})
    for (const char* kind : {"min", "opt", "max"})
      if (name == std::string(provider) + "_profile_" + kind + "_shapes") return true;
  return false;
}

bool is_setting(const std::string& name, const std::string& value) {
  const size_t end = name.find('_');
  const std::string owner = name.substr(0, end);
  if (owner != "trt" && owner != "nv" && owner != "cudnn") return false;
  if (end == std::string::npos || name.size() == end + 1 || name.size() > end + 65) return false;
  if (!only(name.substr(end + 1), "_", false)) return false;
  for (const char* word : {"true", "True", "false", "False"})
    if (value == word) return true;
  return !value.empty() && value.size() <= 18 && value.find_first_not_of("0123456789") == std::string::npos;
}

// Whether they are shapes of profiles, numbers and flags: others of providers are paths.
bool are_settings(const json& value, const Files&) {
  if (!value.is_object()) return false;
  for (const auto& [name, item] : value.items())
    if (!item.is_string() || !(is_profile(name) || is_setting(name, item.get<std::string>()))) return false;
  return true;
}

bool is_adapters(const json& value) {
  return value.is_array() && std::all_of(value.begin(), value.end(), [](const json& item) { return item.is_object(); });
}

// Whether an option of a backend that is not known here has numbers, words and files alone. The
// depth is limited by `read_json`.
bool is_plain(const json& value, const Files& files) {
  if (value.is_structured())
    return std::all_of(value.begin(), value.end(), [&](const json& item) { return is_plain(item, files); });
  if (!value.is_string()) return true;
  const auto text = value.get<std::string>();
  return (text.size() <= 64 && only(text, "_-")) || files.count(text);
}

const std::map<std::string, Schema>& schemas() {
  static const Schema engine{{"engine", is_file}, {"record", is_file}, {"plugins", are_files}, {"kernels", are_files}};
  static const std::map<std::string, Schema> all{
      {"onnxruntime",
       {{"graph_optimization", one_of({"none", "basic", "extended", "all"})},
        {"libraries", are_files},
        {"threads", is_threads},
        {"spinning", is_flag},
        {"provider_options", are_settings}}},
      {"openvino", {{"hint", one_of({"latency", "throughput"})}, {"threads", is_threads}}},
      {"torch", {{"channels_last", is_flag}, {"freezing", is_flag}, {"threads", is_threads}}},
      {"tensorrt", engine},
      {"tensorrt-rtx", engine}};
  return all;
}

}  // namespace

void require_options(const std::string& backend, const json& options, const Files& files) {
  const auto schema = schemas().find(backend);
  for (const auto& [name, value] : options.items()) {
    bool valid = false;
    if (name == "adapters") {
      valid = is_adapters(value);
    } else if (schema == schemas().end()) {
      valid = is_plain(value, files);
    } else {
      const auto check = schema->second.find(name);
      if (check == schema->second.end())
        throw std::invalid_argument("the " + backend + " backend has no option " + quoted(name.substr(0, 60)));
      valid = check->second(value, files);
    }
    if (!valid)
      throw std::invalid_argument("the option " + quoted(name.substr(0, 60)) +
                                  " has no value of it, or a path that is not one of its files");
  }
}

}  // namespace modelport::runtime
