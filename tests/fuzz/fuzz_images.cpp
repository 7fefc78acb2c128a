// Any bytes as a picture: they are decoded to as many pixels as they say, or refused as no picture.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/error.h"
#include "image/read_image.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    try {
        const sdxl::Image image = sdxl::decode_image({data, size});
        const auto pixels = static_cast<std::size_t>(image.width) * static_cast<std::size_t>(image.height);
        if (image.width < 1 || image.height < 1 || image.pixels.size() != pixels * 3) std::abort();
    } catch (const sdxl::Failure& failure) {
        if (failure.error().code != sdxl::ErrorCode::kInvalidRequest) std::abort();
    } catch (const std::bad_alloc&) {
        // A small file may promise a large picture.
    }
    return 0;
}
