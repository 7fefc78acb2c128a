// What a device does in a second, measured through its backend.
//
// Threads: the caller's is the only one that uses the backend meanwhile. Errors: the backend's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "backend/backend.h"

namespace sdxl {

// 0 for what the backend does not do.
struct DeviceRates {
    double float32_tflops = 0;  // of products of matrices, 10^12 operations a second
    double sixteen_tflops = 0;  // in the faster of its 16-bit types
    double int8_tflops = 0;     // with int8 weights
    double bandwidth_gb_s = 0;  // of its memory, 10^9 bytes a second: two arrays read and one written

    double best() const { return std::max(float32_tflops, sixteen_tflops); }
    bool operator==(const DeviceRates&) const = default;
};

struct MeasureOptions {
    double seconds = 0.2;                                // for each rate, about
    std::int64_t array_bytes = std::int64_t{64} << 20U;  // more than caches hold
};

// The best of products of square matrices that grow until one takes a tenth of that time, and sums of arrays.
DeviceRates measure_rates(Backend& backend, const MeasureOptions& options = {});

}  // namespace sdxl
