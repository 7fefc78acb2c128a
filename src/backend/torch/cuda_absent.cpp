#include "backend/torch/cuda.h"

namespace sdxl::torch {

void describe_cuda(int /*index*/, DeviceInfo& /*info*/) {}
DeviceMemory cuda_memory(int /*index*/) {
    return {};
}
void empty_cuda_cache() {}

}  // namespace sdxl::torch
