#include "pipeline/reference_pixels.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "image/bicubic.h"

namespace sdxl {
namespace {

// OpenAI's, of the pictures that CLIP was trained on.
constexpr std::array<double, 3> kMean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> kDeviation{0.26862954, 0.26130258, 0.27577711};

}  // namespace

std::vector<float> reference_pixels(const Image& image, int size) {
    const int shortest = std::min(image.width, image.height);
    const auto scaled = [&](int side) {
        return static_cast<int>(std::int64_t{size} * side / shortest);  // cut off, as transformers does
    };
    const int width = scaled(image.width);
    const int height = scaled(image.height);
    const Image seen =
        resize_bicubic(image, width, height, {(width - size) / 2, (height - size) / 2, size, size});
    std::vector<float> values;
    values.reserve(seen.pixels.size());
    for (std::size_t i = 0; i < seen.pixels.size(); ++i)
        values.push_back(static_cast<float>((seen.pixels[i] / 255.0 - kMean[i % 3]) / kDeviation[i % 3]));
    return values;
}

}  // namespace sdxl
