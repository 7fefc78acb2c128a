#include "sampling/mt19937_noise.h"

#include <cmath>
#include <cstddef>
#include <numbers>

namespace sdxl {
namespace {

constexpr std::size_t kBlock = 16;

// Turns 16 uniform values into 16 normal ones: lane j is paired with lane j + 8.
void box_muller_block(std::span<float, kBlock> block) {
    constexpr float kTwoPi = 2.0f * std::numbers::pi_v<float>;
    for (std::size_t j = 0; j < kBlock / 2; ++j) {
        const float radius = std::sqrt(-2.0f * std::log(1.0f - block[j]));
        const float theta = kTwoPi * block[j + kBlock / 2];
        block[j] = radius * std::cos(theta);
        block[j + kBlock / 2] = radius * std::sin(theta);
    }
}

}  // namespace

Mt19937Noise::Mt19937Noise(std::uint64_t seed) : engine_(static_cast<std::uint32_t>(seed)) {}

float Mt19937Noise::uniform_float() {
    constexpr std::uint32_t kMask = (1u << 24) - 1;
    return static_cast<float>(static_cast<std::uint32_t>(engine_()) & kMask) * 0x1p-24f;
}

double Mt19937Noise::uniform_double() {
    constexpr std::uint64_t kMask = (std::uint64_t{1} << 53) - 1;
    const auto high = static_cast<std::uint64_t>(engine_());
    const auto low = static_cast<std::uint64_t>(engine_());
    return static_cast<double>((high << 32 | low) & kMask) * 0x1p-53;
}

double Mt19937Noise::normal_double() {
    if (cached_) {
        const double value = *cached_;
        cached_.reset();
        return value;
    }
    const double u1 = uniform_double();
    const double u2 = uniform_double();
    const double radius = std::sqrt(-2.0 * std::log1p(-u2));
    const double theta = 2.0 * std::numbers::pi * u1;
    cached_ = radius * std::sin(theta);
    return radius * std::cos(theta);
}

void Mt19937Noise::fill_blocks(std::span<float> values) {
    for (float& value : values) value = uniform_float();
    for (std::size_t at = 0; at + kBlock <= values.size(); at += kBlock)
        box_muller_block(values.subspan(at).first<kBlock>());
    if (values.size() % kBlock == 0) return;
    // The rest does not fill a block, so the last 16 values are drawn anew, over some that were done already.
    const auto last = values.last<kBlock>();
    for (float& value : last) value = uniform_float();
    box_muller_block(last);
}

std::vector<float> Mt19937Noise::normal(std::int64_t count) {
    std::vector<float> values(static_cast<std::size_t>(count));
    if (values.size() >= kBlock) {
        fill_blocks(values);
    } else {
        for (float& value : values) value = static_cast<float>(normal_double());
    }
    return values;
}

}  // namespace sdxl
