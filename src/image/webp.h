// WebP pictures (libwebp), in memory.
//
// Pure functions: any thread. Errors: Failure; kOutOfMemory, kInvalidRequest for bytes that are no WebP.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "image/image.h"

namespace sdxl {

// Lossless at quality 100. REQUIRES: image.channels is 3, quality 0 to 100.
std::vector<std::uint8_t> encode_webp(const Image& image, int quality);

// 8-bit RGB, upright as its EXIF data say. Fails with kInvalidRequest for anything that is no complete still
// picture, or one of more than 8192 x 8192 pixels.
Image decode_webp(std::span<const std::uint8_t> bytes);

}  // namespace sdxl
