#include "weights/finite_check.h"

#include <cstdint>
#include <cstring>

#include "core/error.h"
#include "weights/safetensors_header.h"

namespace sdxl {
namespace {

// An exponent of all ones is a NaN or an infinity. Through memcpy: views need not be aligned.
template <class Bits>
bool has_no_full_exponent(const HostView& view, Bits exponent) {
    const auto count = static_cast<std::size_t>(view.shape.numel());
    bool found = false;
    for (std::size_t i = 0; i < count; ++i) {
        Bits bits;
        std::memcpy(&bits, view.data + i * sizeof(Bits), sizeof(Bits));
        found |= (bits & exponent) == exponent;
    }
    return !found;
}

}  // namespace

bool is_finite(const HostView& view) {
    switch (view.dtype) {
        case DType::kF16:
            return has_no_full_exponent<std::uint16_t>(view, 0x7c00U);
        case DType::kBF16:
            return has_no_full_exponent<std::uint16_t>(view, 0x7f80U);
        case DType::kF32:
            return has_no_full_exponent<std::uint32_t>(view, 0x7f800000U);
        case DType::kF64:
            return has_no_full_exponent<std::uint64_t>(view, 0x7ff0000000000000U);
        default:
            return true;
    }
}

void require_finite(const WeightMap& weights, const CancelToken& cancel) {
    for (const auto& [name, entry] : weights.entries()) {
        cancel.check();
        if (!is_finite(entry.view))
            fail(ErrorCode::kInvalidModel, "'" + entry.bytes->path() + "': tensor " +
                                               quoted_name(entry.view.name) +
                                               " holds values that are not numbers (NaN or infinity): the "
                                               "file is broken, download it again");
    }
}

}  // namespace sdxl
