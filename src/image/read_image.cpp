#include "image/read_image.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "core/error.h"
#include "image/jpeg.h"
#include "image/png.h"
#include "image/webp.h"

namespace sdxl {
namespace {

struct Format {
    std::size_t at;
    std::string_view mark;
    std::string_view name;
    Image (*decode)(std::span<const std::uint8_t> bytes);
};

Image read_png(std::span<const std::uint8_t> bytes) {
    return decode_png(bytes);
}

// The understood ones first.
constexpr Format kFormats[] = {
    {0, "\x89PNG", "a PNG", read_png},  {0, "\xff\xd8", "a JPEG", decode_jpeg},
    {8, "WEBP", "a WebP", decode_webp}, {0, "GIF8", "a GIF", nullptr},
    {0, "BM", "a BMP", nullptr},        {0, "II*", "a TIFF", nullptr},
    {0, "MM\0*", "a TIFF", nullptr},    {4, "ftypavif", "an AVIF", nullptr},
    {4, "ftypheic", "a HEIC", nullptr}, {0, "8BPS", "a Photoshop file", nullptr},
    {0, "%PDF", "a PDF", nullptr},      {0, "<svg", "an SVG", nullptr},
    {0, "<", "a web page", nullptr},
};

}  // namespace

Image decode_image(std::span<const std::uint8_t> bytes) {
    if (bytes.empty()) fail(ErrorCode::kInvalidRequest, "expected a picture, found no bytes at all");
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const auto* found = std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& format) {
        return text.size() > format.at && text.substr(format.at).starts_with(format.mark);
    });
    if (found != std::end(kFormats) && found->decode != nullptr) return found->decode(bytes);
    const std::string what = found != std::end(kFormats)
                                 ? std::string(found->name)
                                 : std::to_string(bytes.size()) + " bytes of something else";
    fail(ErrorCode::kInvalidRequest, "expected a PNG, JPEG or WebP picture, found " + what + ": convert it");
}

}  // namespace sdxl
