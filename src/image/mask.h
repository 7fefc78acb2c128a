#pragma once
#include <vector>
#include "image/image.h"
#include "image/resize.h"
namespace sdxl {
struct Mask { int width = 0; int height = 0; std::vector<float> values; };
Mask to_mask(const Image& image);
Mask resize_mask(const Mask& mask, int width, int height, ResizeMode mode);
Mask blur_mask(const Mask& mask, double radius);
Mask binarize(const Mask& mask, float threshold = 0.5F);
}
