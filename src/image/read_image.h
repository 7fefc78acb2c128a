#pragma once
#include <cstdint>
#include <span>
#include "image/image.h"
namespace sdxl {
Image decode_image(std::span<const std::uint8_t> bytes);
}
