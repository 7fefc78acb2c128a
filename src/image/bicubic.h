// Pictures brought to another size as PIL does with BICUBIC, to the bit: what networks were trained to be
// shown.
//
// Keys, "Cubic convolution interpolation for digital image processing", 1981, with a = -0.5; the kernel
// widens where a picture shrinks. Pillow's Resample.c: columns first, then rows, each rounded to 8 bits, with
// weights in 22 bits of fixed point. Pure functions: any thread.
#pragma once

#include "image/image.h"

namespace sdxl {

// A part of a picture, in pixels.
struct Cut {
    int left = 0, top = 0, width = 0, height = 0;
};

// The part of the picture as it is once brought to width x height; nothing else is computed. REQUIRES:
// channels is 3, the cut lies inside.
Image resize_bicubic(const Image& image, int width, int height, const Cut& cut);

}  // namespace sdxl
