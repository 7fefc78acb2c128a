#include "image/png.h"

#include <png.h>

#include <cstring>
#include <memory>

#include "core/error.h"
#include "image/exif_orientation.h"

namespace sdxl {
namespace {

constexpr png_uint_32 kLargestExtent = 8192;
// Pictures are noisy: higher levels take several times as long for a few per cent.
constexpr int kCompressionLevel = 4;

// libpng reports errors through this, and must not return from it.
[[noreturn]] void on_error(png_structp, png_const_charp message) {
    fail(ErrorCode::kInvalidRequest, std::string("PNG: ") + message);
}
void on_warning(png_structp, png_const_charp) {}

struct Writer {
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, on_error, on_warning);
    png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
    Writer() {
        if (info == nullptr) throw std::bad_alloc();
    }
    ~Writer() { png_destroy_write_struct(&png, &info); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
};

struct Reader {
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, nullptr, on_error, on_warning);
    png_infop info = png != nullptr ? png_create_info_struct(png) : nullptr;
    Reader() {
        if (info == nullptr) throw std::bad_alloc();
    }
    ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
};

void append(png_structp png, png_bytep data, png_size_t size) {
    auto& bytes = *static_cast<std::vector<std::uint8_t>*>(png_get_io_ptr(png));
    bytes.insert(bytes.end(), data, data + size);
}

void take(png_structp png, png_bytep data, png_size_t size) {
    auto& bytes = *static_cast<std::span<const std::uint8_t>*>(png_get_io_ptr(png));
    if (bytes.size() < size) fail(ErrorCode::kInvalidRequest, "PNG: the file ends too early");
    std::memcpy(data, bytes.data(), size);
    bytes = bytes.subspan(size);
}

void set_text(Writer& writer, const ImageText& text) {
    std::vector<png_text> entries;
    for (const auto& [keyword, value] : text) {
        png_text entry{};
        entry.compression = PNG_ITXT_COMPRESSION_NONE;
        entry.key = const_cast<char*>(keyword.c_str());
        entry.text = const_cast<char*>(value.c_str());
        entry.itxt_length = value.size();
        entry.lang = const_cast<char*>("");
        entry.lang_key = const_cast<char*>("");
        entries.push_back(entry);
    }
    if (!entries.empty())
        png_set_text(writer.png, writer.info, entries.data(), static_cast<int>(entries.size()));
}

}  // namespace

std::vector<std::uint8_t> encode_png(const Image& image, const ImageText& text) {
    std::vector<std::uint8_t> bytes;
    Writer writer;
    png_set_write_fn(writer.png, &bytes, append, nullptr);
    png_set_IHDR(writer.png, writer.info, static_cast<png_uint_32>(image.width),
                 static_cast<png_uint_32>(image.height), 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(writer.png, kCompressionLevel);
    set_text(writer, text);
    png_write_info(writer.png, writer.info);
    const std::size_t row_bytes = static_cast<std::size_t>(image.width) * 3;
    for (std::size_t row = 0; row < static_cast<std::size_t>(image.height); ++row)
        png_write_row(writer.png, image.pixels.data() + row * row_bytes);
    png_write_end(writer.png, nullptr);
    return bytes;
}

Image decode_png(std::span<const std::uint8_t> bytes, ImageText* text) {
    constexpr std::size_t kSignature = 8;
    if (bytes.size() < kSignature || png_sig_cmp(bytes.data(), 0, kSignature) != 0)
        fail(ErrorCode::kInvalidRequest, "not a PNG file");
    Reader reader;
    png_set_read_fn(reader.png, &bytes, take);
    png_set_user_limits(reader.png, kLargestExtent, kLargestExtent);
    png_read_info(reader.png, reader.info);
    png_set_expand(reader.png);
    png_set_strip_16(reader.png);
    png_set_strip_alpha(reader.png);
    png_set_gray_to_rgb(reader.png);
    const int passes = png_set_interlace_handling(reader.png);
    png_read_update_info(reader.png, reader.info);
    Image image;
    image.width = static_cast<int>(png_get_image_width(reader.png, reader.info));
    image.height = static_cast<int>(png_get_image_height(reader.png, reader.info));
    const std::size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
    image.pixels.resize(row_bytes * static_cast<std::size_t>(image.height));
    for (int pass = 0; pass < passes; ++pass)
        for (std::size_t row = 0; row < static_cast<std::size_t>(image.height); ++row)
            png_read_row(reader.png, image.pixels.data() + row * row_bytes, nullptr);
    png_read_end(reader.png, reader.info);
    png_bytep exif = nullptr;
    png_uint_32 exif_size = 0;
    const bool has_exif = png_get_eXIf_1(reader.png, reader.info, &exif_size, &exif) != 0;
    if (text != nullptr) {
        png_textp entries = nullptr;
        const int count = png_get_text(reader.png, reader.info, &entries, nullptr);
        for (int i = 0; i < count; ++i) text->emplace_back(entries[i].key, entries[i].text);
    }
    return has_exif ? upright(std::move(image), exif_orientation({exif, exif_size})) : image;
}

}  // namespace sdxl
