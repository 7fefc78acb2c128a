// What only CUDA's own libraries tell. cuda.cpp where libtorch has CUDA, cuda_absent.cpp where not.
#pragma once

#include "backend/device_info.h"

namespace sdxl::torch {

// Name, capability and element types of one of CUDA's or ROCm's devices.
void describe_cuda(int index, DeviceInfo& info);
DeviceMemory cuda_memory(int index);
void empty_cuda_cache();

}  // namespace sdxl::torch
