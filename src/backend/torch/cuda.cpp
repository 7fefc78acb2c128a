#include "backend/torch/cuda.h"

#include <ATen/Context.h>
#include <ATen/cuda/CUDAContext.h>
#include <ATen/ops/empty.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <cuda_runtime_api.h>

#include <string>

namespace sdxl::torch {

void describe_cuda(int index, DeviceInfo& info) {
    const cudaDeviceProp* properties = at::cuda::getDeviceProperties(static_cast<c10::DeviceIndex>(index));
    info.name = properties->name;
    info.capability = std::to_string(properties->major) + "." + std::to_string(properties->minor);
    info.unified_memory = properties->integrated != 0;
    info.float16 = true;
    info.bfloat16 = properties->major >= 8;
}

DeviceMemory cuda_memory(int index) {
    const c10::Device device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
    const c10::cuda::CUDAGuard guard(device);
    at::empty({1}, at::TensorOptions(device));  // libtorch has no statistics of a device before its first use
    std::size_t available = 0, total = 0;
    C10_CUDA_CHECK(cudaMemGetInfo(&available, &total));
    // What libtorch keeps but does not use can be had again; the first of each statistic is the sum.
    const auto statistics = c10::cuda::CUDACachingAllocator::getDeviceStats(device.index());
    const auto kept = statistics.reserved_bytes[0].current - statistics.allocated_bytes[0].current;
    return {total, available + static_cast<std::uint64_t>(kept)};
}

void empty_cuda_cache() {
    c10::cuda::CUDACachingAllocator::emptyCache();
}

void forbid_tf32() {
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
}

}  // namespace sdxl::torch
