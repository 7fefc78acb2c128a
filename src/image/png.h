// PNG pictures (libpng), in memory.
//
// Pure functions: any thread. Errors: Failure; kOutOfMemory, kInvalidRequest for bytes that are no PNG.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "image/image.h"

namespace sdxl {

// Text that goes into the file, keyword and Latin-1 or UTF-8 value. Keywords are 1 to 79 printable ASCII
// characters.
using ImageText = std::vector<std::pair<std::string, std::string>>;

// REQUIRES: image.channels is 3, pixels has height * width * 3 entries.
std::vector<std::uint8_t> encode_png(const Image& image, const ImageText& text = {});

// 8-bit RGB whatever the file's colour type, upright as its EXIF data say. Fails with kInvalidRequest for
// anything that is no complete PNG, or one of more than 8192 x 8192 pixels.
Image decode_png(std::span<const std::uint8_t> bytes, ImageText* text = nullptr);

}  // namespace sdxl
