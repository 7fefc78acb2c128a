#include "pipeline/memory_check.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace sdxl {
namespace {

std::string gib(std::uint64_t bytes) {
    const std::uint64_t tenths = (bytes * 10 + (std::uint64_t{1} << 29U)) >> 30U;
    return std::to_string(tenths / 10) + "." + std::to_string(tenths % 10) + " GiB";
}

}  // namespace

std::uint64_t decode_peak_bytes(int width, int height, DType compute) {
    // In the last blocks of SDXL's VAE, [H, W, 256] goes into a norm, a convolution and a residual at once.
    constexpr std::uint64_t kChannels = 256;
    constexpr std::uint64_t kLiveTensors = 3;
    return static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height) * kChannels * kLiveTensors *
           dtype_size(compute);
}

int pictures_together(int width, int height, DType compute, std::uint64_t available_bytes) {
    // More than this in one call made no picture faster on a CPU (docs/performance.md), and a call is what a
    // request of higher priority waits for.
    constexpr std::uint64_t kMostPixels = 1024 * 1024;
    // Live at once in the UNet's widest place, for both halves of guidance.
    constexpr std::uint64_t kValuesPerPixel = 2 * 320;
    const std::uint64_t pixels = static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height);
    std::uint64_t count = std::max<std::uint64_t>(1, kMostPixels / pixels);
    if (available_bytes > 0)
        count = std::min(count, available_bytes / 2 / (pixels * kValuesPerPixel * dtype_size(compute)));
    return static_cast<int>(std::max<std::uint64_t>(1, count));
}

void require_memory(std::uint64_t needed_bytes, std::uint64_t available_bytes, const char* what) {
    if (available_bytes == 0 || needed_bytes <= available_bytes) return;
    fail(ErrorCode::kOutOfMemory, std::string(what) + " needs about " + gib(needed_bytes) +
                                      ", and this machine has " + gib(available_bytes) +
                                      " left: ask for a smaller picture or free memory");
}

}  // namespace sdxl
