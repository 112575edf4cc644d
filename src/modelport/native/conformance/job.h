// What the host of plugins is to do: a file of lines, each a word and its values.
#pragma once

#include <NvInferRuntime.h>

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

struct Tensor {
  nvinfer1::DataType type;
  nvinfer1::Dims dims;
};

struct Case {
  int64_t number = 0;
  std::string space, name;  // of the plugin
  std::vector<nvinfer1::PluginField> fields;
  std::vector<Tensor> inputs, outputs;
  std::vector<nvinfer1::Dims> changed;  // shapes of the inputs to change to; empty for none
  std::string folder;                   // with the inputs' values, and for those of the outputs
  std::deque<std::string> names, bytes;  // what the fields point to
};

struct Job {
  std::string library;
  std::deque<Case> cases;
};

// Throws std::runtime_error where the file is not as it should be.
Job read_job(const char* path);

std::string to_hex(const void* data, size_t size);
size_t size_of(nvinfer1::DataType type);
size_t size_of(nvinfer1::PluginFieldType type);
int64_t count_of(const nvinfer1::Dims& dims);
