// The CPU backend on oneDNN: float32 and bfloat16.
//
// Products run as oneDNN primitives that are made once per shape, on weights packed once at load; norms,
// element-wise work and the softmax are Highway kernels. Both use the same OpenMP threads.
#pragma once

#include <memory>
#include <string>

#include "backend/backend.h"

namespace sdxl {

// Fails with kInternal where oneDNN finds no CPU engine.
std::unique_ptr<Backend> make_onednn_backend();

// "oneDNN 2.6.3".
std::string onednn_description();

}  // namespace sdxl
