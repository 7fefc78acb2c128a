// Any bytes as a textual inversion: its vectors are as many as it says and all finite, or it is refused as a
// broken file or something else.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "core/error.h"
#include "weights/owned_bytes.h"
#include "weights/safetensors.h"
#include "weights/textual_inversion_file.h"

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void check(const sdxl::InversionVectors& part, std::int64_t vectors) {
    if (part.tensor.empty()) {
        require(part.values.empty());
        return;
    }
    require(part.width > 0 && static_cast<std::int64_t>(part.values.size()) == vectors * part.width);
    require(std::all_of(part.values.begin(), part.values.end(), [](float v) { return std::isfinite(v); }));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto* begin = reinterpret_cast<const std::byte*>(data);
    const auto bytes =
        std::make_shared<const sdxl::OwnedBytes>("fuzz", std::vector<std::byte>(begin, begin + size));
    try {
        const auto header = sdxl::parse_safetensors(bytes->bytes(), bytes->path());
        const auto inversion =
            sdxl::read_textual_inversion(sdxl::tensors_of(header, bytes->bytes(), bytes), "fuzz.safetensors");
        require(inversion.vectors >= 1 && inversion.vectors <= 75);
        require(!inversion.clip_l.tensor.empty() || !inversion.clip_g.tensor.empty());
        check(inversion.clip_l, inversion.vectors);
        check(inversion.clip_g, inversion.vectors);
    } catch (const sdxl::Failure& failure) {
        const auto code = failure.error().code;
        require(code == sdxl::ErrorCode::kInvalidModel || code == sdxl::ErrorCode::kUnsupported);
    }
    return 0;
}
