// Refuses, with numbers, what this machine's memory cannot hold, before the system kills the process for it.
#pragma once

#include <cstdint>

#include "request/generation.h"
#include "tensor/dtype.h"

namespace sdxl {

// Estimated peak of activations while a picture of this size is decoded: the largest stage of SDXL.
std::uint64_t decode_peak_bytes(int width, int height, DType compute);

// How many pictures of this size share a call of the UNet: as many as keep the processor busy, and fit.
int pictures_together(int width, int height, DType compute, std::uint64_t available_bytes);

// Fails with kOutOfMemory where `needed` is more than the system can give.
void require_memory(std::uint64_t needed_bytes, std::uint64_t available_bytes, const char* what);

}  // namespace sdxl
