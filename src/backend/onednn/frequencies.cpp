#include "backend/onednn/frequencies.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numbers>
#include <type_traits>
#include <vector>

#include "backend/onednn/kernels.h"
#include "backend/onednn/parallel.h"

namespace sdxl::onednn {
namespace {

// What a pixel adds to the sums of each wave: 1, cosines and sines of the frequency -1 across, down and both
// ways. A side of one pixel has no such frequency.
std::vector<float> waves(std::int64_t height, std::int64_t width, std::size_t& count) {
    constexpr double kTurn = 2 * std::numbers::pi;
    std::vector<float> values;
    for (std::int64_t y = 0; y < height; ++y) {
        for (std::int64_t x = 0; x < width; ++x) {
            const double across = kTurn * static_cast<double>(x) / static_cast<double>(width);
            const double down = kTurn * static_cast<double>(y) / static_cast<double>(height);
            const auto add = [&](double angle) {
                values.push_back(static_cast<float>(std::cos(angle)));
                values.push_back(static_cast<float>(std::sin(angle)));
            };
            values.push_back(1.F);
            if (width > 1) add(across);
            if (height > 1) add(down);
            if (width > 1 && height > 1) add(across + down);
        }
    }
    count = values.size() / static_cast<std::size_t>(height * width);
    return values;
}

// Some neighbouring channels of one picture: sums with every wave, then what the waves add to each pixel.
template <class T>
void scale_channels_of(const T* x, T* y, const std::vector<float>& waves, std::size_t count, float factor,
                       std::int64_t rows, std::int64_t channels, std::int64_t begin, std::int64_t end) {
    const auto width = static_cast<std::size_t>(end - begin);
    constexpr DType kType = std::is_same_v<T, float> ? DType::kF32 : DType::kBF16;
    std::vector<float> sums(count * width);
    std::vector<float> row(width);
    const auto load = [&](std::int64_t at) {
        convert(reinterpret_cast<const std::byte*>(x + at * channels + begin), kType, row.data(),
                end - begin);
        return waves.data() + static_cast<std::size_t>(at) * count;
    };
    for (std::int64_t at = 0; at < rows; ++at) {
        const float* wave = load(at);
        for (std::size_t k = 0; k < count; ++k)
            for (std::size_t c = 0; c < width; ++c) sums[k * width + c] += wave[k] * row[c];
    }
    const float part = (factor - 1.F) / static_cast<float>(rows);
    for (float& sum : sums) sum *= part;
    for (std::int64_t at = 0; at < rows; ++at) {
        const float* wave = load(at);
        for (std::size_t k = 0; k < count; ++k)
            for (std::size_t c = 0; c < width; ++c) row[c] += wave[k] * sums[k * width + c];
        convert(reinterpret_cast<const std::byte*>(row.data()), DType::kF32, y + at * channels + begin,
                end - begin);
    }
}

template <class T>
void run(const Tensor& x, float factor, const Tensor& y) {
    constexpr std::int64_t kChannelsTogether = 64;
    const std::int64_t rows = x.dim(1) * x.dim(2);
    const std::int64_t channels = x.dim(3);
    std::size_t count = 0;
    const std::vector<float> basis = waves(x.dim(1), x.dim(2), count);
    const std::int64_t blocks = (channels + kChannelsTogether - 1) / kChannelsTogether;
    parallel_ranges(x.dim(0) * blocks, 1, [&](std::int64_t first, std::int64_t last) {
        for (std::int64_t task = first; task < last; ++task) {
            const std::int64_t begin = task % blocks * kChannelsTogether;
            const std::int64_t item = task / blocks * rows * channels;
            scale_channels_of(x.data<T>() + item, y.data<T>() + item, basis, count, factor, rows, channels,
                              begin, std::min(channels, begin + kChannelsTogether));
        }
    });
}

}  // namespace

void scale_low_frequencies(const Tensor& x, float factor, const Tensor& y) {
    if (x.dtype() == DType::kBF16)
        run<bf16_bits>(x, factor, y);
    else
        run<float>(x, factor, y);
}

}  // namespace sdxl::onednn
