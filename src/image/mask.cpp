#include "image/mask.h"

#include <algorithm>
#include <cstddef>

#include "image/opencv.h"

namespace sdxl {
namespace {

cv::Mat view_of(const Mask& mask) {
    return {mask.height, mask.width, CV_32FC1, const_cast<float*>(mask.values.data())};
}

Mask from(const cv::Mat& values) {
    Mask mask{values.cols, values.rows, {}};
    const auto* begin = values.ptr<float>();
    mask.values.assign(begin, begin + static_cast<std::ptrdiff_t>(values.cols) * values.rows);
    for (float& value : mask.values) value = std::clamp(value, 0.F, 1.F);
    return mask;
}

}  // namespace

Mask to_mask(const Image& image) {
    Mask mask{image.width, image.height, {}};
    mask.values.reserve(image.pixels.size() / 3);
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
        const int luma = 299 * image.pixels[i] + 587 * image.pixels[i + 1] + 114 * image.pixels[i + 2];
        mask.values.push_back(static_cast<float>(luma) / (1000.F * 255.F));
    }
    return mask;
}

Mask resize_mask(const Mask& mask, int width, int height, ResizeMode mode) {
    if (mask.width == width && mask.height == height) return mask;
    return with_opencv([&] {
        return from(fit(view_of(mask), place(mask.width, mask.height, width, height, mode), width, height,
                        cv::BORDER_CONSTANT, cv::Scalar(1)));
    });
}

Mask blur_mask(const Mask& mask, double deviation) {
    if (deviation <= 0) return mask;
    return with_opencv([&] {
        // Four standard deviations to each side hold all that float32 can tell from 0 here.
        const int reach = static_cast<int>(std::ceil(4 * deviation));
        cv::Mat blurred;
        cv::GaussianBlur(view_of(mask), blurred, {2 * reach + 1, 2 * reach + 1}, deviation, deviation,
                         cv::BORDER_REPLICATE);
        return from(blurred);
    });
}

Mask binarize(const Mask& mask, float threshold) {
    Mask result = mask;
    for (float& value : result.values) value = value >= threshold ? 1.F : 0.F;
    return result;
}

}  // namespace sdxl
