#include "backend/torch/cuda.h"

namespace sdxl::torch {

void describe_cuda(int /*index*/, DeviceInfo& /*info*/) {}
DeviceMemory cuda_memory(int /*index*/) {
    return {};
}
void empty_cuda_cache() {}
void forbid_tf32() {}

std::unique_ptr<Transfers> make_cuda_transfers(const c10::Device& /*device*/) {
    return nullptr;
}
std::unique_ptr<Recorder> make_cuda_recorder(const c10::Device& /*device*/) {
    return nullptr;
}

}  // namespace sdxl::torch
