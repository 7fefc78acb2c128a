// A picture as CLIP's vision encoders are shown it: transformers' CLIPImageProcessor.
#pragma once

#include <vector>

#include "image/image.h"

namespace sdxl {

// The shortest side brought to `size` (bicubic), the middle cut out, colours by CLIP's mean and deviation:
// [size, size, 3]. REQUIRES: channels is 3.
std::vector<float> reference_pixels(const Image& image, int size);

}  // namespace sdxl
