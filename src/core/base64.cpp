#include "core/base64.h"

#include <array>
#include <cstddef>

namespace sdxl {
namespace {
constexpr char kAlphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string encode_base64(std::span<const std::uint8_t> bytes) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        const std::size_t left = bytes.size() - i;
        const std::uint32_t b0 = bytes[i];
        const std::uint32_t b1 = left > 1 ? bytes[i + 1] : 0U;
        const std::uint32_t b2 = left > 2 ? bytes[i + 2] : 0U;
        const std::uint32_t group = b0 << 16 | b1 << 8 | b2;
        text += kAlphabet[group >> 18 & 63];
        text += kAlphabet[group >> 12 & 63];
        text += left > 1 ? kAlphabet[group >> 6 & 63] : '=';
        text += left > 2 ? kAlphabet[group & 63] : '=';
    }
    return text;
}

std::optional<std::vector<std::uint8_t>> decode_base64(std::string_view text) {
    static const std::array<int, 256> digit_values = [] {
        std::array<int, 256> values;
        values.fill(-1);
        for (std::size_t i = 0; i < 64; ++i)
            values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<int>(i);
        return values;
    }();
    std::vector<std::uint8_t> bytes;
    bytes.reserve(text.size() / 4 * 3 + 2);
    std::uint32_t group = 0;
    std::size_t digits = 0;
    std::size_t padding = 0;
    for (const char c : text) {
        if (c == ' ' || c == '\n' || c == '\r' || c == '\t') continue;
        if (c == '=') {
            if (++padding > 2) return std::nullopt;
            continue;
        }
        const int value = digit_values[static_cast<unsigned char>(c)];
        if (value < 0 || padding > 0) return std::nullopt;
        group = group << 6U | static_cast<std::uint32_t>(value);
        if (++digits % 4 == 0)
            for (int shift = 16; shift >= 0; shift -= 8)
                bytes.push_back(static_cast<std::uint8_t>(group >> shift & 255U));
    }
    const std::size_t left = digits % 4;
    if (left == 1 || (padding > 0 && left + padding != 4)) return std::nullopt;
    if (left >= 2)
        bytes.push_back(static_cast<std::uint8_t>((left == 2 ? group >> 4U : group >> 10U) & 255U));
    if (left == 3) bytes.push_back(static_cast<std::uint8_t>(group >> 2U & 255U));
    return bytes;
}

}  // namespace sdxl
