// A picture out of a file's bytes, whatever format it has.
#pragma once

#include <cstdint>
#include <span>

#include "image/image.h"

namespace sdxl {

// PNG, JPEG or WebP, told by their first bytes, as 8-bit RGB (transparency is dropped) and upright as EXIF
// says. Pure function: any thread. Fails with kInvalidRequest for other formats, which are named, and as the
// decoders do.
Image decode_image(std::span<const std::uint8_t> bytes);

}  // namespace sdxl
