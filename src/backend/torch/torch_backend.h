// The backend on libtorch, for one of its devices. Element types: float32, and what a trial on the device
// shows to work of bfloat16 and float16.
//
// Work on a GPU may still be running when an op returns; what comes later waits for it, and download() does
// so on the host's behalf. Attention scores are bounded by limit_attention() where libtorch has no kernel
// that does without them.
#pragma once

#include <c10/core/Device.h>

#include <memory>

#include "backend/backend.h"

namespace sdxl::torch {

class Devices;

// `devices` outlives it.
std::unique_ptr<Backend> make_torch_backend(const c10::Device& device, const Devices& devices);

}  // namespace sdxl::torch
