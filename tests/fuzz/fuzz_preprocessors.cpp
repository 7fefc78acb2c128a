// Any bytes that are a picture, as the input of every preprocessor: the result is a picture of the same size.
// The last byte, which decoders seldom mind, chooses the size to work at.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "core/error.h"
#include "image/preprocess/preprocess.h"
#include "image/read_image.h"

namespace {

// Larger ones cost seconds and show nothing new.
constexpr int kLargestArea = 256 * 256;

void check_all(const sdxl::Image& image, const sdxl::PreprocessOptions& options) {
    for (int kind = 0; kind <= static_cast<int>(sdxl::Preprocessor::kSegmentation); ++kind) {
        const auto made = sdxl::preprocess(image, static_cast<sdxl::Preprocessor>(kind), options);
        if (made.width != image.width || made.height != image.height || made.channels != 3 ||
            made.pixels.size() != image.pixels.size())
            std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    sdxl::Image image;
    try {
        image = sdxl::decode_image({data, size});
    } catch (const sdxl::Failure&) {
        return 0;  // fuzz_images' business
    } catch (const std::bad_alloc&) {
        return 0;
    }
    if (image.width * image.height > kLargestArea) return 0;
    sdxl::PreprocessOptions options;
    check_all(image, options);
    options.resolution = 64 + data[size - 1] % 64;
    const int longer = std::max(image.width, image.height), shorter = std::min(image.width, image.height);
    if (options.resolution * longer / shorter <= 1024) check_all(image, options);
    return 0;
}
