// JPEG pictures (libjpeg-turbo), in memory.
//
// Pure functions: any thread. Errors: Failure; kOutOfMemory, kInvalidRequest for bytes that are no JPEG.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "image/image.h"

namespace sdxl {

// `comment` goes into the file as UTF-8, in a COM segment, cut where that is full (64 KiB). Chroma is whole
// from quality 90 on, else halved both ways. REQUIRES: image.channels is 3, quality 1 to 100.
std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality, const std::string& comment = "");

// 8-bit RGB whatever the file's colours (grey, YCbCr, CMYK), upright as its EXIF data say. Fails with
// kInvalidRequest for anything that is no complete JPEG, or one of more than 8192 x 8192 pixels.
Image decode_jpeg(std::span<const std::uint8_t> bytes);

}  // namespace sdxl
