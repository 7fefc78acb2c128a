// Refuses, with numbers, what this machine's memory cannot hold, before the system kills the process for it.
#pragma once

#include <cstdint>

#include "request/generation.h"
#include "tensor/dtype.h"

namespace sdxl {

// Estimated peak of activations while a picture of this size is decoded: the largest stage of SDXL.
std::uint64_t decode_peak_bytes(int width, int height, DType compute);

// Fails with kOutOfMemory where `needed` is more than the system can give.
void require_memory(std::uint64_t needed_bytes, std::uint64_t available_bytes, const char* what);

}  // namespace sdxl
