// Pictures brought to another size (OpenCV). Pure functions: any thread.
#pragma once

#include "image/image.h"

namespace sdxl {

// How a picture of another shape is brought to size: stretched; covering it, and cut around the middle; or
// whole inside of it, the border repeating the edge.
enum class ResizeMode { kStretch, kCrop, kPad };

// Where a picture comes to lie in another, in pixels; outside of it where it is cut.
struct Placement {
    int left = 0, top = 0, width = 0, height = 0;
};
Placement place(int from_width, int from_height, int width, int height, ResizeMode mode);

// Shrunk by area, enlarged by Lanczos. A picture that has the size already is itself. REQUIRES: channels is
// 3, sizes 1 to 8192.
Image resize_image(const Image& image, int width, int height, ResizeMode mode);

}  // namespace sdxl
