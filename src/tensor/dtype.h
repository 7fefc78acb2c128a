// Element types of tensors and weight files, and their conversions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sdxl {

enum class DType { kF32, kBF16, kF16, kF64, kI64, kI32, kI16, kI8, kU8, kBool };

constexpr std::size_t dtype_size(DType dtype) {
    switch (dtype) {
        case DType::kF64:
        case DType::kI64:
            return 8;
        case DType::kF32:
        case DType::kI32:
            return 4;
        case DType::kBF16:
        case DType::kF16:
        case DType::kI16:
            return 2;
        case DType::kI8:
        case DType::kU8:
        case DType::kBool:
            return 1;
    }
    return 0;
}

constexpr std::string_view dtype_name(DType dtype) {
    switch (dtype) {
        case DType::kF32:
            return "float32";
        case DType::kBF16:
            return "bfloat16";
        case DType::kF16:
            return "float16";
        case DType::kF64:
            return "float64";
        case DType::kI64:
            return "int64";
        case DType::kI32:
            return "int32";
        case DType::kI16:
            return "int16";
        case DType::kI8:
            return "int8";
        case DType::kU8:
            return "uint8";
        case DType::kBool:
            return "bool";
    }
    return "?";
}

constexpr bool is_float(DType dtype) {
    return dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF16 || dtype == DType::kF64;
}

using bf16_bits = std::uint16_t;
using f16_bits = std::uint16_t;

constexpr float bf16_to_f32(bf16_bits value) {
    return std::bit_cast<float>(std::uint32_t{value} << 16);
}

// Rounds to nearest even; NaN stays NaN.
constexpr bf16_bits f32_to_bf16(float value) {
    const auto bits = std::bit_cast<std::uint32_t>(value);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<bf16_bits>((bits >> 16) | 0x40U);
    return static_cast<bf16_bits>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

constexpr float f16_to_f32(f16_bits value) {
    const std::uint32_t sign = (std::uint32_t{value} & 0x8000U) << 16;
    const std::uint32_t magnitude = std::uint32_t{value} & 0x7fffU;
    if (magnitude >= 0x7c00U) return std::bit_cast<float>(sign | 0x7f800000U | ((magnitude & 0x3ffU) << 13));
    if (magnitude >= 0x0400U) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000U));
    const float subnormal = static_cast<float>(magnitude) * 0x1p-24F;
    return sign != 0 ? -subnormal : subnormal;
}

}  // namespace sdxl
