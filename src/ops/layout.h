// Host pictures between torch's order [N, C, H, W] and ours [N, H, W, C].
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace sdxl::ops {

struct PictureExtents {
    std::int64_t batch = 0, channels = 0, height = 0, width = 0;

    std::int64_t numel() const { return batch * channels * height * width; }
};

// REQUIRES: values.size() == extents.numel(); fails with kInternal otherwise.
std::vector<float> nchw_to_nhwc(std::span<const float> values, const PictureExtents& extents);
std::vector<float> nhwc_to_nchw(std::span<const float> values, const PictureExtents& extents);

}  // namespace sdxl::ops
