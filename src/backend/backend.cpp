#include "backend/backend.h"

#include <functional>

namespace sdxl {

std::uint64_t digest_of(std::span<const std::byte> bytes, std::uint64_t seed) {
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    constexpr std::uint64_t kOdd = 0x9E3779B97F4A7C15U;
    return (seed ^ std::hash<std::string_view>{}(text)) * kOdd;
}

std::string_view activation_name(Activation activation) {
    switch (activation) {
        case Activation::kNone:
            return "none";
        case Activation::kSilu:
            return "silu";
        case Activation::kGelu:
            return "gelu";
        case Activation::kQuickGelu:
            return "quick_gelu";
        case Activation::kRelu:
            return "relu";
    }
    return "?";
}

}  // namespace sdxl
