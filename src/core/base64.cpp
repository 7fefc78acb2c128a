#include "core/base64.h"

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

}  // namespace sdxl
