#include "pipeline/tiles.h"

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace sdxl {
namespace {

// Where tiles begin along one side; they are all equally long and spread evenly.
struct Side {
    std::vector<int> begins;
    int length = 0;
};

Side divide(int extent, const TileSizes& sizes) {
    if (extent <= sizes.tile) return {{0}, extent};
    const int stride = sizes.tile - sizes.overlap;
    const int count = (extent - sizes.overlap + stride - 1) / stride;
    Side side{{}, sizes.tile};
    for (int i = 0; i < count; ++i)
        side.begins.push_back(
            static_cast<int>(std::lround(static_cast<double>(i) * (extent - sizes.tile) / (count - 1))));
    return side;
}

// How much of tile `index` counts at each of its values: 1 inside, falling in the middle half of an overlap
// as its neighbour's rises.
std::vector<float> weights_along(const Side& side, std::size_t index, int scale) {
    std::vector<float> weights(static_cast<std::size_t>(side.length) * static_cast<std::size_t>(scale), 1.F);
    // Of the later one of two tiles, at a place in latents.
    const auto rise = [&](std::size_t later, double place) {
        const double begin = side.begins[later];
        const double overlap = side.begins[later - 1] + side.length - begin;
        return std::clamp((place - begin - overlap / 4) / (overlap / 2), 0.0, 1.0);
    };
    for (std::size_t i = 0; i < weights.size(); ++i) {
        const double place = side.begins[index] + (static_cast<double>(i) + 0.5) / scale;
        if (index > 0) weights[i] *= static_cast<float>(rise(index, place));
        if (index + 1 < side.begins.size()) weights[i] *= static_cast<float>(1 - rise(index + 1, place));
    }
    return weights;
}

}  // namespace

std::vector<float> blend_tiles(int height, int width, int scale, int channels, const TileSizes& sizes,
                               const std::function<std::vector<float>(const TilePlace&)>& make) {
    const Side rows = divide(height, sizes);
    const Side columns = divide(width, sizes);
    if (rows.begins.size() == 1 && columns.begins.size() == 1) return make({0, 0, height, width});
    const auto depth = static_cast<std::size_t>(channels);
    const std::size_t whole_width = static_cast<std::size_t>(width) * static_cast<std::size_t>(scale);
    std::vector<float> whole(static_cast<std::size_t>(height) * static_cast<std::size_t>(scale) *
                             whole_width * depth);
    for (std::size_t r = 0; r < rows.begins.size(); ++r) {
        const auto down = weights_along(rows, r, scale);
        for (std::size_t c = 0; c < columns.begins.size(); ++c) {
            const auto across = weights_along(columns, c, scale);
            const auto tile = make({rows.begins[r], columns.begins[c], rows.length, columns.length});
            const std::size_t left =
                static_cast<std::size_t>(columns.begins[c]) * static_cast<std::size_t>(scale);
            for (std::size_t y = 0; y < down.size(); ++y) {
                const std::size_t row =
                    static_cast<std::size_t>(rows.begins[r]) * static_cast<std::size_t>(scale) + y;
                float* to = whole.data() + (row * whole_width + left) * depth;
                const float* from = tile.data() + y * across.size() * depth;
                for (std::size_t x = 0; x < across.size(); ++x)
                    for (std::size_t k = 0; k < depth; ++k)
                        to[x * depth + k] += down[y] * across[x] * from[x * depth + k];
            }
        }
    }
    return whole;
}

std::vector<float> cut_out(std::span<const float> picture, int width, int channels, const TilePlace& part) {
    std::vector<float> cut;
    cut.reserve(static_cast<std::size_t>(part.height) * static_cast<std::size_t>(part.width) *
                static_cast<std::size_t>(channels));
    for (int y = 0; y < part.height; ++y) {
        const auto begin =
            picture.begin() + ((static_cast<std::ptrdiff_t>(part.top) + y) * width + part.left) * channels;
        cut.insert(cut.end(), begin, begin + static_cast<std::ptrdiff_t>(part.width) * channels);
    }
    return cut;
}

}  // namespace sdxl
