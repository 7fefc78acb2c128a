#include "image/exif_orientation.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <utility>

namespace sdxl {
namespace {

// Numbers of a TIFF structure in its byte order; nothing beyond its end.
class TiffReader {
  public:
    explicit TiffReader(std::span<const std::uint8_t> bytes)
        : bytes_(bytes), big_endian_(!bytes.empty() && bytes[0] == 'M') {}

    std::optional<std::uint32_t> number(std::size_t at, std::size_t size) const {
        if (at > bytes_.size() || bytes_.size() - at < size) return std::nullopt;
        std::uint32_t value = 0;
        for (std::size_t i = 0; i < size; ++i)
            value = value << 8U | bytes_[at + (big_endian_ ? i : size - 1 - i)];
        return value;
    }

  private:
    std::span<const std::uint8_t> bytes_;
    bool big_endian_;
};

}  // namespace

int exif_orientation(std::span<const std::uint8_t> exif) {
    constexpr std::array<std::uint8_t, 6> kMark{'E', 'x', 'i', 'f', 0, 0};
    constexpr std::uint32_t kTiff = 42;
    constexpr std::uint32_t kOrientation = 0x0112;
    constexpr std::size_t kEntryBytes = 12;
    if (exif.size() >= kMark.size() && std::equal(kMark.begin(), kMark.end(), exif.begin()))
        exif = exif.subspan(kMark.size());
    const TiffReader tiff(exif);
    if (tiff.number(2, 2) != kTiff) return 1;
    const auto directory = tiff.number(4, 4);
    const auto entries = directory ? tiff.number(*directory, 2) : std::nullopt;
    if (!entries) return 1;
    for (std::size_t i = 0; i < *entries; ++i) {
        const std::size_t entry = *directory + 2 + i * kEntryBytes;
        const auto tag = tiff.number(entry, 2);
        if (!tag) return 1;
        if (*tag != kOrientation) continue;
        const auto value = tiff.number(entry + 8, 2);
        return value && *value >= 1 && *value <= 8 ? static_cast<int>(*value) : 1;
    }
    return 1;
}

Image upright(Image image, int orientation) {
    if (orientation <= 1 || orientation > 8) return image;
    const bool turned = orientation >= 5;
    const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
    const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
    Image result{
        turned ? image.height : image.width, turned ? image.width : image.height, image.channels, {}};
    result.pixels.reserve(image.pixels.size());
    const auto width = static_cast<std::size_t>(image.width);
    const auto height = static_cast<std::size_t>(image.height);
    const auto depth = static_cast<std::size_t>(image.channels);
    for (std::size_t row = 0; row < static_cast<std::size_t>(result.height); ++row)
        for (std::size_t column = 0; column < static_cast<std::size_t>(result.width); ++column) {
            const std::size_t x = turned ? row : column;
            const std::size_t y = turned ? column : row;
            const std::size_t from =
                ((from_bottom ? height - 1 - y : y) * width + (from_right ? width - 1 - x : x)) * depth;
            for (std::size_t c = 0; c < depth; ++c) result.pixels.push_back(image.pixels[from + c]);
        }
    return result;
}

}  // namespace sdxl
