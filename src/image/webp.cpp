#include "image/webp.h"

#include <webp/decode.h>
#include <webp/demux.h>
#include <webp/encode.h>

#include <memory>
#include <new>
#include <string>

#include "core/error.h"
#include "image/exif_orientation.h"

namespace sdxl {
namespace {

constexpr int kLargestExtent = 8192;

struct Demux {
    WebPDemuxer* handle;
    explicit Demux(std::span<const std::uint8_t> bytes) {
        const WebPData data{bytes.data(), bytes.size()};
        handle = WebPDemux(&data);
    }
    ~Demux() { WebPDemuxDelete(handle); }
    Demux(const Demux&) = delete;
    Demux& operator=(const Demux&) = delete;
};

int orientation_of(std::span<const std::uint8_t> bytes) {
    const Demux demux(bytes);
    if (demux.handle == nullptr) return 1;
    WebPChunkIterator chunk{};
    int orientation = 1;
    if (WebPDemuxGetChunk(demux.handle, "EXIF", 1, &chunk) != 0)
        orientation = exif_orientation({chunk.chunk.bytes, chunk.chunk.size});
    WebPDemuxReleaseChunkIterator(&chunk);
    return orientation;
}

}  // namespace

std::vector<std::uint8_t> encode_webp(const Image& image, int quality) {
    constexpr int kLossless = 100;
    std::uint8_t* bytes = nullptr;
    const int stride = image.width * 3;
    const std::size_t size =
        quality >= kLossless
            ? WebPEncodeLosslessRGB(image.pixels.data(), image.width, image.height, stride, &bytes)
            : WebPEncodeRGB(image.pixels.data(), image.width, image.height, stride,
                            static_cast<float>(quality), &bytes);
    const std::unique_ptr<std::uint8_t, decltype(&WebPFree)> owner(bytes, &WebPFree);
    if (size == 0) throw std::bad_alloc();
    return {bytes, bytes + size};
}

Image decode_webp(std::span<const std::uint8_t> bytes) {
    WebPBitstreamFeatures features{};
    if (WebPGetFeatures(bytes.data(), bytes.size(), &features) != VP8_STATUS_OK)
        fail(ErrorCode::kInvalidRequest, "not a WebP file, or one whose header is broken");
    if (features.has_animation != 0)
        fail(ErrorCode::kInvalidRequest, "WebP: this is an animation, expected a still picture");
    if (features.width > kLargestExtent || features.height > kLargestExtent)
        fail(ErrorCode::kInvalidRequest, "WebP: " + std::to_string(features.width) + " x " +
                                             std::to_string(features.height) +
                                             " pixels, expected at most 8192 x 8192");
    Image image{features.width, features.height, 3, {}};
    const std::size_t row_bytes = static_cast<std::size_t>(features.width) * 3;
    image.pixels.resize(row_bytes * static_cast<std::size_t>(features.height));
    if (WebPDecodeRGBInto(bytes.data(), bytes.size(), image.pixels.data(), image.pixels.size(),
                          static_cast<int>(row_bytes)) == nullptr)
        fail(ErrorCode::kInvalidRequest, "WebP: the file ends too early or is broken");
    return upright(std::move(image), orientation_of(bytes));
}

}  // namespace sdxl
