#include "pipeline/latent_preview.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "image/resize.h"
#include "pipeline/latents.h"

namespace sdxl {
namespace {

// The linear map from SDXL's latent channels to RGB in -1..1 that ComfyUI's latent format for SDXL uses: a
// least-squares fit of the decoder.
constexpr float kFactors[4][3] = {{0.3651F, 0.4232F, 0.4341F},
                                  {-0.2533F, -0.0042F, 0.1068F},
                                  {0.1076F, 0.1111F, -0.0362F},
                                  {-0.3165F, -0.2492F, -0.2188F}};
constexpr float kBias[3] = {0.1084F, -0.0175F, -0.0011F};

}  // namespace

Image latent_preview(const std::vector<float>& latents, int height, int width) {
    const std::size_t count = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
    Image image{width, height, 3, std::vector<std::uint8_t>(count * 3)};
    for (std::size_t i = 0; i < count; ++i) {
        for (std::size_t c = 0; c < 3; ++c) {
            float value = kBias[c];
            for (std::size_t k = 0; k < 4; ++k) value += latents[k * count + i] * kFactors[k][c];
            const float shown = std::isfinite(value) ? std::clamp(value / 2 + 0.5F, 0.F, 1.F) : 0.F;
            image.pixels[i * 3 + c] = static_cast<std::uint8_t>(std::lround(shown * 255.F));
        }
    }
    return image;
}

Image decoded_preview(const Context& ctx, const VaeModel& vae, const Latents& latents,
                      const std::optional<TileSizes>& tiles) {
    constexpr int kLargestSide = 512;
    std::vector<float> values = vae.decode(ctx, latents, tiles);
    for (float& value : values)
        if (!std::isfinite(value)) value = 0;
    const Image whole = to_image(values, latents.width * kPixelsPerLatent, latents.height * kPixelsPerLatent);
    const double scale =
        std::min(1.0, static_cast<double>(kLargestSide) / std::max(whole.width, whole.height));
    return resize_image(whole, static_cast<int>(whole.width * scale), static_cast<int>(whole.height * scale),
                        ResizeMode::kStretch);
}

}  // namespace sdxl
