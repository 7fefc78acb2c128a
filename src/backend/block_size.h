// The sizes in which the CPU backend's pool of activations hands out memory, known to whoever foretells what
// it will take.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>

namespace sdxl {

constexpr std::size_t kCacheLine = 64;
constexpr std::size_t kPage = 4096;
constexpr std::size_t kHugePage = std::size_t{2} << 20;

constexpr std::size_t round_up(std::size_t value, std::size_t unit) {
    return (value + unit - 1) / unit * unit;
}

// Sizes within an eighth of each other share a class, so that a freed block fits its next user.
constexpr std::size_t block_size(std::size_t bytes) {
    const std::size_t at_least_one = std::max<std::size_t>(bytes, 1);
    return round_up(at_least_one, std::max(kCacheLine, std::bit_floor(at_least_one) / 8));
}

// Blocks of two huge pages and more lie on their borders.
constexpr bool has_huge_pages(std::size_t block) {
    return block >= 2 * kHugePage;
}

}  // namespace sdxl
