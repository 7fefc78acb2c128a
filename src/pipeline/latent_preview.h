// What latents will look like, without the decoder: one pixel per latent.
#pragma once

#include <cstdint>
#include <vector>

#include "image/image.h"
#include "pipeline/vae_model.h"

namespace sdxl {

// latents [1, 4, h, w] of SDXL, in torch's order -> RGB picture of w x h pixels. Early steps show noise.
Image latent_preview(const std::vector<float>& latents, int height, int width);

// Decoded, at most 512 pixels a side; what is not a number is grey: a preview is no reason to fail.
Image decoded_preview(const Context& ctx, const VaeModel& vae, const Latents& latents,
                      const std::optional<TileSizes>& tiles);

}  // namespace sdxl
