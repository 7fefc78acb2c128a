#include "image/resize.h"

#include <cmath>
#include <cstddef>

#include "image/opencv.h"

namespace sdxl {

Placement place(int from_width, int from_height, int width, int height, ResizeMode mode) {
    if (mode == ResizeMode::kStretch) return {0, 0, width, height};
    const double across = static_cast<double>(width) / from_width;
    const double down = static_cast<double>(height) / from_height;
    const double scale = mode == ResizeMode::kCrop ? std::max(across, down) : std::min(across, down);
    Placement where;
    where.width = std::max(1, static_cast<int>(std::lround(from_width * scale)));
    where.height = std::max(1, static_cast<int>(std::lround(from_height * scale)));
    where.left = (width - where.width) / 2;
    where.top = (height - where.height) / 2;
    return where;
}

Image resize_image(const Image& image, int width, int height, ResizeMode mode) {
    if (image.width == width && image.height == height) return image;
    return with_opencv([&] {
        const cv::Mat source(image.height, image.width, CV_8UC3,
                             const_cast<std::uint8_t*>(image.pixels.data()));
        const cv::Mat fitted = fit(source, place(image.width, image.height, width, height, mode), width,
                                   height, cv::BORDER_REPLICATE);
        Image result{width, height, 3, {}};
        const auto* begin = fitted.ptr<std::uint8_t>();
        result.pixels.assign(begin, begin + static_cast<std::ptrdiff_t>(width) * height * 3);
        return result;
    });
}

}  // namespace sdxl
