// Large pictures piece by piece: overlapping tiles whose seams are blended.
#pragma once

#include <functional>
#include <span>
#include <vector>

namespace sdxl {

// In latents a side. The middle of an overlap is blended; its outer parts are only there so that every value
// that counts sees what its network wants to see around it.
struct TileSizes {
    int tile = 128;
    int overlap = 32;
};

struct TilePlace {
    int top = 0, left = 0, height = 0, width = 0;  // latents
};

// Calls `make` for each tile of height x width latents: what it gives has `scale` values a latent and side,
// [place.height * scale, place.width * scale, channels]. Returns the whole, [height * scale, width * scale,
// channels]. REQUIRES: overlap < tile.
std::vector<float> blend_tiles(int height, int width, int scale, int channels, const TileSizes& sizes,
                               const std::function<std::vector<float>(const TilePlace&)>& make);

// The part of a host picture [height, width, channels], in pixels.
std::vector<float> cut_out(std::span<const float> picture, int width, int channels, const TilePlace& part);

}  // namespace sdxl
