// A picture in host memory: 8 bits a channel, rows top to bottom, channels interleaved, sRGB.
#pragma once

#include <cstdint>
#include <vector>

namespace sdxl {

struct Image {
    int width = 0;
    int height = 0;
    int channels = 3;
    std::vector<std::uint8_t> pixels;  // height * width * channels
};

}  // namespace sdxl
