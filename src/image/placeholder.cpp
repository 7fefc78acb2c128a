#include <cstddef>
#include "image/mask.h"
#include "image/read_image.h"
#include "image/png.h"
namespace sdxl {
Image decode_image(std::span<const std::uint8_t> bytes) { return decode_png(bytes); }
Image resize_image(const Image& image, int width, int height, ResizeMode) {
    if (image.width == width && image.height == height) return image;
    Image out{width, height, 3, {}};
    for (int y = 0; y < height; ++y) for (int x = 0; x < width; ++x) for (int c = 0; c < 3; ++c)
        out.pixels.push_back(image.pixels[(static_cast<std::size_t>(y * image.height / height) * static_cast<std::size_t>(image.width) + static_cast<std::size_t>(x * image.width / width)) * 3 + static_cast<std::size_t>(c)]);
    return out;
}
Mask to_mask(const Image& image) { Mask m{image.width, image.height, {}}; for (std::size_t i = 0; i < image.pixels.size(); i += 3) m.values.push_back(static_cast<float>(image.pixels[i]) / 255.F); return m; }
Mask resize_mask(const Mask& mask, int width, int height, ResizeMode) {
    Mask out{width, height, {}};
    for (int y = 0; y < height; ++y) for (int x = 0; x < width; ++x)
        out.values.push_back(mask.values[static_cast<std::size_t>(y * mask.height / height) * static_cast<std::size_t>(mask.width) + static_cast<std::size_t>(x * mask.width / width)]);
    return out;
}
Mask blur_mask(const Mask& mask, double) { return mask; }
Mask binarize(const Mask& mask, float t) { Mask m = mask; for (float& v : m.values) v = v >= t ? 1.F : 0.F; return m; }
}
