// Small arithmetic on latents and pictures in host memory. Pure functions.
#pragma once

#include <span>
#include <vector>

#include "image/image.h"
#include "request/generation.h"

namespace sdxl {

bool all_finite(std::span<const float> values);

// To another size, bilinear with half-pixel centres (torch's interpolate without antialiasing).
Latents resize_latents(const Latents& latents, int height, int width);

// 8 bits to -1..1, interleaved.
std::vector<float> to_values(const Image& image);
// Values of -1..1 to 8 bits, held within and rounded to nearest. Fails with kInternal if one is not a number.
Image to_image(std::span<const float> values, int width, int height);

// 1 for each latent under which any pixel of the mask [height, width] is at least one half.
std::vector<float> latent_mask(std::span<const float> mask, int height, int width);
// What the mask does not cover comes from `original`: where it is 0, to the last bit.
void paste_outside(Image& picture, const Image& original, std::span<const float> mask);

}  // namespace sdxl
