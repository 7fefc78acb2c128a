#include "image/bicubic.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <vector>

namespace sdxl {
namespace {

constexpr int kChannels = 3;
constexpr int kFractionBits = 22;
constexpr double kSupport = 2;  // of the kernel, to either side

double kernel(double x) {
    constexpr double kA = -0.5;
    x = std::abs(x);
    if (x < 1) return ((kA + 2) * x - (kA + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * kA;
    return 0;
}

// What one pixel of the result is made of.
struct Taps {
    int first = 0;
    std::vector<std::int32_t> weights;  // in fixed point
};

// For the results begin to begin + count of `to`, made of `from`.
std::vector<Taps> taps_of(int from, int to, int begin, int count) {
    const double scale = static_cast<double>(from) / to;
    const double widening = std::max(scale, 1.0);
    const double reach = kSupport * widening;
    std::vector<Taps> all;
    for (int i = begin; i < begin + count; ++i) {
        const double centre = (i + 0.5) * scale;
        Taps taps;
        taps.first = std::max(0, static_cast<int>(std::floor(centre - reach + 0.5)));
        const int end = std::min(from, static_cast<int>(std::floor(centre + reach + 0.5)));
        std::vector<double> weights;
        double sum = 0;
        for (int x = taps.first; x < end; ++x) {
            weights.push_back(kernel((x - centre + 0.5) * (1 / widening)));
            sum += weights.back();
        }
        for (const double weight : weights)
            taps.weights.push_back(
                static_cast<std::int32_t>(std::lround(weight / sum * (1 << kFractionBits))));
        all.push_back(std::move(taps));
    }
    return all;
}

// A row of weighted pixels that lie `stride` values apart, for each of `width` neighbouring values.
void weigh(const std::uint8_t* source, std::size_t stride, const Taps& taps, std::size_t width,
           std::vector<std::int32_t>& sums, std::uint8_t* target) {
    sums.assign(width, 1 << (kFractionBits - 1));
    for (std::size_t tap = 0; tap < taps.weights.size(); ++tap) {
        const std::uint8_t* from = source + (static_cast<std::size_t>(taps.first) + tap) * stride;
        for (std::size_t i = 0; i < width; ++i) sums[i] += taps.weights[tap] * from[i];
    }
    for (std::size_t i = 0; i < width; ++i)
        target[i] = static_cast<std::uint8_t>(std::clamp(sums[i] >> kFractionBits, 0, 255));
}

}  // namespace

Image resize_bicubic(const Image& image, int width, int height, const Cut& cut) {
    const std::vector<Taps> across = taps_of(image.width, width, cut.left, cut.width);
    const std::vector<Taps> down = taps_of(image.height, height, cut.top, cut.height);
    const auto row_of = [](int columns) { return static_cast<std::size_t>(columns) * kChannels; };
    // Only the rows that the cut is made of.
    const int top = down.front().first;
    const int bottom = down.back().first + static_cast<int>(down.back().weights.size());
    std::vector<std::uint8_t> narrow(static_cast<std::size_t>(bottom - top) * row_of(cut.width));
    std::vector<std::int32_t> sums;
    for (int y = top; y < bottom; ++y) {
        const std::uint8_t* row = image.pixels.data() + static_cast<std::size_t>(y) * row_of(image.width);
        std::uint8_t* target = narrow.data() + static_cast<std::size_t>(y - top) * row_of(cut.width);
        for (int x = 0; x < cut.width; ++x)
            weigh(row, kChannels, across[static_cast<std::size_t>(x)], kChannels, sums, target + row_of(x));
    }
    Image result{cut.width, cut.height, kChannels, {}};
    result.pixels.resize(static_cast<std::size_t>(cut.height) * row_of(cut.width));
    for (int y = 0; y < cut.height; ++y) {
        Taps taps = down[static_cast<std::size_t>(y)];
        taps.first -= top;
        weigh(narrow.data(), row_of(cut.width), taps, row_of(cut.width), sums,
              result.pixels.data() + static_cast<std::size_t>(y) * row_of(cut.width));
    }
    return result;
}

}  // namespace sdxl
