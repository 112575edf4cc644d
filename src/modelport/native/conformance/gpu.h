// The part of the host that needs a GPU.
#pragma once

#include "job.h"

// Whether there is a GPU; without one, `why` says what CUDA says.
bool has_gpu(std::string& why);

// Runs a plugin, whose shapes were announced, on the values in the case's folder, and writes those
// of the outputs there. Throws where CUDA or the plugin fails.
// `sizes` are the outputs, and their axes, that the outputs after the first ones give.
void run_on_gpu(nvinfer1::IPluginV3OneRuntime& plugin, const Case& given, const std::vector<Tensor>& outputs,
                const std::vector<std::pair<size_t, int32_t>>& sizes, size_t workspace);
