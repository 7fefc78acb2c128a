// What latents will look like, without the decoder: one pixel per latent.
#pragma once

#include <cstdint>
#include <vector>

#include "image/image.h"

namespace sdxl {

// latents [1, 4, h, w] of SDXL, in torch's order -> RGB picture of w x h pixels. Early steps show noise.
Image latent_preview(const std::vector<float>& latents, int height, int width);

}  // namespace sdxl
