// What only CUDA's own libraries have. cuda.cpp where libtorch has CUDA, cuda_absent.cpp where not.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <initializer_list>
#include <memory>

#include "backend/device_info.h"
#include "backend/recorder.h"
#include "backend/torch/aten.h"

namespace sdxl::torch {

// Name, capability and element types of one of CUDA's or ROCm's devices.
void describe_cuda(int index, DeviceInfo& info);
DeviceMemory cuda_memory(int index);
void empty_cuda_cache();
// As exact as the type: libtorch's own default has convolutions of float32 in TF32.
void forbid_tf32();

// Weights' way to a device while it computes: on a stream of its own, from pinned memory. What is computed
// with them later waits for them, and nothing else does. The host waits where the device is more than two
// weights behind, so that what was dropped can be had again.
class Transfers {
  public:
    virtual ~Transfers() = default;
    // `make` makes these tensors; all that it asks of the device is on the way when this returns.
    virtual void bring(const std::function<void()>& make,
                       std::initializer_list<const at::Tensor*> results) = 0;
};

// Null where libtorch has no CUDA or the device is none of it.
std::unique_ptr<Transfers> make_cuda_transfers(const c10::Device& device);
std::unique_ptr<Recorder> make_cuda_recorder(const c10::Device& device);

}  // namespace sdxl::torch
