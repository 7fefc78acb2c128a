#include "pipeline/latents.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "core/error.h"
#include "pipeline/vae_model.h"

namespace sdxl {
namespace {

// The two values between which a place lies, and how far from the first.
struct Between {
    std::size_t low, high;
    float part;
};

std::vector<Between> places(int from, int to) {
    std::vector<Between> all;
    for (int i = 0; i < to; ++i) {
        const double place = std::clamp((i + 0.5) * from / to - 0.5, 0.0, from - 1.0);
        const auto low = static_cast<std::size_t>(place);
        all.push_back({low, std::min(low + 1, static_cast<std::size_t>(from - 1)),
                       static_cast<float>(place - static_cast<double>(low))});
    }
    return all;
}

}  // namespace

bool all_finite(std::span<const float> values) {
    return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

Latents resize_latents(const Latents& latents, int height, int width) {
    if (latents.height == height && latents.width == width) return latents;
    const auto rows = places(latents.height, height);
    const auto columns = places(latents.width, width);
    Latents resized{height, width, {}};
    resized.values.reserve(rows.size() * columns.size() * kLatentChannels);
    const auto from_width = static_cast<std::size_t>(latents.width);
    const std::size_t plane_size = from_width * static_cast<std::size_t>(latents.height);
    for (std::size_t channel = 0; channel < kLatentChannels; ++channel) {
        const auto plane = std::span(latents.values).subspan(channel * plane_size, plane_size);
        for (const Between& y : rows)
            for (const Between& x : columns) {
                const auto row = [&](std::size_t at) {
                    return std::lerp(plane[at * from_width + x.low], plane[at * from_width + x.high], x.part);
                };
                resized.values.push_back(std::lerp(row(y.low), row(y.high), y.part));
            }
    }
    return resized;
}

std::vector<float> to_values(const Image& image) {
    std::vector<float> values(image.pixels.size());
    std::transform(image.pixels.begin(), image.pixels.end(), values.begin(),
                   [](std::uint8_t value) { return static_cast<float>(value) / 127.5F - 1.F; });
    return values;
}

Image to_image(std::span<const float> values, int width, int height) {
    if (!all_finite(values))
        fail(ErrorCode::kInternal, "the decoded picture is not a number everywhere: the weights are broken");
    Image image{width, height, 3, std::vector<std::uint8_t>(values.size())};
    std::transform(values.begin(), values.end(), image.pixels.begin(), [](float value) {
        return static_cast<std::uint8_t>(std::lround(std::clamp(value / 2.F + 0.5F, 0.F, 1.F) * 255.F));
    });
    return image;
}

std::vector<float> latent_mask(std::span<const float> mask, int height, int width) {
    const int rows = height / kPixelsPerLatent;
    const int columns = width / kPixelsPerLatent;
    std::vector<float> result(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
    for (std::size_t i = 0; i < mask.size(); ++i) {
        if (mask[i] < 0.5F) continue;
        const std::size_t row = i / static_cast<std::size_t>(width) / kPixelsPerLatent;
        const std::size_t column = i % static_cast<std::size_t>(width) / kPixelsPerLatent;
        result[row * static_cast<std::size_t>(columns) + column] = 1.F;
    }
    return result;
}

void paste_outside(Image& picture, const Image& original, std::span<const float> mask) {
    for (std::size_t i = 0; i < picture.pixels.size(); ++i) {
        const float part = mask[i / 3];
        const float mixed = part * static_cast<float>(picture.pixels[i]) +
                            (1.F - part) * static_cast<float>(original.pixels[i]);
        picture.pixels[i] = static_cast<std::uint8_t>(std::lround(mixed));
    }
}

}  // namespace sdxl
