#include "job.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace {

std::string from_hex(const std::string& text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size(); i += 2) bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  return bytes;
}

nvinfer1::Dims read_dims(std::istream& line) {
  nvinfer1::Dims dims{};
  line >> dims.nbDims;
  for (int32_t axis = 0; axis < dims.nbDims && axis < nvinfer1::Dims::MAX_DIMS; ++axis) line >> dims.d[axis];
  return dims;
}

Tensor read_tensor(std::istream& line) {
  int32_t type = 0;
  line >> type;
  return {static_cast<nvinfer1::DataType>(type), read_dims(line)};
}

void read_field(std::istream& line, Case& current) {
  std::string name, bytes;
  int32_t type = 0, length = 0;
  line >> name >> type >> length >> bytes;
  current.names.push_back(name);
  current.bytes.push_back(from_hex(bytes));
  current.fields.emplace_back(current.names.back().c_str(), current.bytes.back().data(),
                              static_cast<nvinfer1::PluginFieldType>(type), length);
}

}  // namespace

Job read_job(const char* path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(std::string("cannot read ") + path);
  Job job;
  std::getline(file, job.library);
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string word;
    line >> word;
    if (word == "case") {
      Case& made = job.cases.emplace_back();
      line >> made.number >> made.space >> made.name;
      continue;
    }
    if (job.cases.empty()) throw std::runtime_error("there is no case before: " + text);
    Case& current = job.cases.back();
    if (word == "field") read_field(line, current);
    else if (word == "input") current.inputs.push_back(read_tensor(line));
    else if (word == "output") current.outputs.push_back(read_tensor(line));
    else if (word == "changed") current.changed.push_back(read_dims(line));
    else if (word == "folder") std::getline(line >> std::ws, current.folder);
    else throw std::runtime_error("not known: " + text);
  }
  return job;
}

std::string to_hex(const void* data, size_t size) {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    const auto byte = static_cast<const unsigned char*>(data)[i];
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

size_t size_of(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kINT8: return 1;
    case nvinfer1::DataType::kHALF:
    case nvinfer1::DataType::kBF16: return 2;
    case nvinfer1::DataType::kINT64: return 8;
    default: return 4;
  }
}

size_t size_of(nvinfer1::PluginFieldType type) {
  switch (type) {
    case nvinfer1::PluginFieldType::kFLOAT64:
    case nvinfer1::PluginFieldType::kINT64: return 8;
    case nvinfer1::PluginFieldType::kFLOAT32:
    case nvinfer1::PluginFieldType::kINT32: return 4;
    default: return 1;
  }
}

int64_t count_of(const nvinfer1::Dims& dims) {
  int64_t count = 1;
  for (int32_t axis = 0; axis < dims.nbDims; ++axis) count *= dims.d[axis];
  return count;
}
