#pragma once
#include "image/image.h"
namespace sdxl {
enum class ResizeMode { kStretch, kCrop, kPad };
Image resize_image(const Image& image, int width, int height, ResizeMode mode);
}
