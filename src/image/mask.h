// Masks: one value a pixel, 1 where a picture is redrawn, 0 where it stays. Pure functions: any thread.
#pragma once

#include <vector>

#include "image/image.h"
#include "image/resize.h"

namespace sdxl {

struct Mask {
    int width = 0;
    int height = 0;
    std::vector<float> values;  // [height, width], 0..1
};

// The brightness of a picture (ITU-R 601 luma, as PIL's mode "L").
Mask to_mask(const Image& image);

// As resize_image does with the picture that the mask lies over; the border that padding adds is 1.
Mask resize_mask(const Mask& mask, int width, int height, ResizeMode mode);

// Gaussian of that standard deviation, in pixels; 0 changes nothing.
Mask blur_mask(const Mask& mask, double deviation);

// 1 from `threshold` on, else 0.
Mask binarize(const Mask& mask, float threshold = 0.5F);

}  // namespace sdxl
