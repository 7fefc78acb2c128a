// Which way up a photograph is, as its EXIF data say. Pure functions.
#pragma once

#include <cstdint>
#include <span>

#include "image/image.h"

namespace sdxl {

// `exif` begins with the TIFF header, or with "Exif\0\0" before it. 1 to 8 as EXIF counts them; 1, which is
// upright, where the data are broken or do not say.
int exif_orientation(std::span<const std::uint8_t> exif);

// The picture turned and mirrored so that it is upright.
Image upright(Image image, int orientation);

}  // namespace sdxl
