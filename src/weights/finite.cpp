#include "weights/finite.h"

#include <cstdint>
#include <cstring>

#include "core/error.h"

namespace sdxl {
namespace {

// An exponent of all ones is a NaN or an infinity. Views need not be aligned.
template <class Bits>
bool exponents_fit(const HostView& view, Bits exponent) {
    bool fit = true;
    const std::size_t count = view.bytes() / sizeof(Bits);
    for (std::size_t i = 0; i < count; ++i) {
        Bits bits;
        std::memcpy(&bits, view.data + i * sizeof bits, sizeof bits);
        fit &= (bits & exponent) != exponent;
    }
    return fit;
}

constexpr std::uint16_t kF16Exponent = 0x7c00;
constexpr std::uint16_t kBF16Exponent = 0x7f80;
constexpr std::uint32_t kF32Exponent = 0x7f800000;
constexpr std::uint64_t kF64Exponent = 0x7ff0000000000000;

}  // namespace

bool all_finite(const HostView& view) {
    if (view.dtype == DType::kF16) return exponents_fit(view, kF16Exponent);
    if (view.dtype == DType::kBF16) return exponents_fit(view, kBF16Exponent);
    if (view.dtype == DType::kF32) return exponents_fit(view, kF32Exponent);
    if (view.dtype == DType::kF64) return exponents_fit(view, kF64Exponent);
    return true;
}

void require_finite(const WeightMap& weights, const CancelToken& cancel) {
    for (const auto& [name, entry] : weights.entries()) {
        cancel.check();
        if (!all_finite(entry.view))
            fail(ErrorCode::kInvalidModel, "'" + entry.bytes->path() + "': tensor '" + entry.view.name +
                                               "' holds values that are not numbers (NaN or infinity): the "
                                               "file is damaged, download it again");
    }
}

}  // namespace sdxl
