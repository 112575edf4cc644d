// A plugin through a build and a run.
#pragma once

#include "job.h"

// Asks a plugin of the creator all that TensorRT asks, in its order, and says what it hears. Throws
// std::runtime_error where the contract of plugins is broken.
void play_case(nvinfer1::IPluginCreatorV3One& creator, const Case& given, bool gpu);
