#include "sampling/philox_noise.h"

#include <array>
#include <cmath>
#include <cstddef>

namespace sdxl {
namespace {

using Counter = std::array<std::uint32_t, 4>;
using Key = std::array<std::uint32_t, 2>;

Counter philox_round(const Counter& counter, const Key& key) {
    const std::uint64_t a = std::uint64_t{0xD2511F53} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57} * counter[2];
    return {static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
            static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)};
}

Counter philox_4x32_10(Counter counter, Key key) {
    constexpr int kRounds = 10;
    for (int round = 0; round < kRounds; ++round) {
        counter = philox_round(counter, key);
        key[0] += 0x9E3779B9;
        key[1] += 0xBB67AE85;
    }
    return counter;
}

float box_muller(std::uint32_t x, std::uint32_t y) {
    constexpr float kScale = 2.3283064e-10f;            // 2^-32
    constexpr float kAngleScale = kScale * 6.2831855f;  // 2 pi 2^-32
    const float u = static_cast<float>(x) * kScale + kScale / 2;
    const float v = static_cast<float>(y) * kAngleScale + kAngleScale / 2;
    return std::sqrt(-2.0f * std::log(u)) * std::sin(v);
}

}  // namespace

std::vector<float> PhiloxNoise::normal(std::int64_t count) {
    const Key key = {static_cast<std::uint32_t>(seed_), static_cast<std::uint32_t>(seed_ >> 32)};
    std::vector<float> values(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < values.size(); ++i) {
        const Counter draw = philox_4x32_10({offset_, 0, static_cast<std::uint32_t>(i), 0}, key);
        values[i] = box_muller(draw[0], draw[1]);
    }
    ++offset_;
    return values;
}

}  // namespace sdxl
