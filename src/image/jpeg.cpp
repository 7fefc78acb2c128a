#include "image/jpeg.h"

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include "core/error.h"
#include "image/exif_orientation.h"
// Wants <cstdio> before it.
#include <jpeglib.h>

namespace sdxl {
namespace {

constexpr JDIMENSION kLargestExtent = 8192;

std::string message_of(j_common_ptr info) {
    char text[JMSG_LENGTH_MAX];
    (*info->err->format_message)(info, text);
    return text;
}

// libjpeg must not go on after this.
[[noreturn]] void on_error(j_common_ptr info) {
    fail(ErrorCode::kInvalidRequest, "JPEG: " + message_of(info));
}
// Warnings are about damaged or missing data.
void on_message(j_common_ptr info, int level) {
    if (level < 0) fail(ErrorCode::kInvalidRequest, "JPEG: " + message_of(info));
}
void on_output(j_common_ptr) {}

jpeg_error_mgr errors() {
    jpeg_error_mgr manager{};
    jpeg_std_error(&manager);
    manager.error_exit = on_error;
    manager.emit_message = on_message;
    manager.output_message = on_output;
    return manager;
}

struct Reader {
    jpeg_error_mgr manager = errors();
    jpeg_decompress_struct info{};
    Reader() {
        info.err = &manager;
        jpeg_create_decompress(&info);
    }
    ~Reader() { jpeg_destroy_decompress(&info); }
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;
};

struct Writer {
    jpeg_error_mgr manager = errors();
    jpeg_compress_struct info{};
    unsigned char* bytes = nullptr;
    unsigned long size = 0;
    Writer() {
        info.err = &manager;
        jpeg_create_compress(&info);
        jpeg_mem_dest(&info, &bytes, &size);
    }
    ~Writer() {
        jpeg_destroy_compress(&info);
        std::free(bytes);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
};

// Four channels of ink to three of light. Adobe's programs write how much ink is missing.
void to_rgb(std::span<const std::uint8_t> cmyk, bool inverted, std::uint8_t* rgb) {
    const auto light = [&](std::uint8_t ink) { return inverted ? ink : 255 - ink; };
    for (std::size_t i = 0; i < cmyk.size() / 4; ++i)
        for (std::size_t c = 0; c < 3; ++c)
            rgb[i * 3 + c] =
                static_cast<std::uint8_t>((light(cmyk[i * 4 + c]) * light(cmyk[i * 4 + 3]) + 127) / 255);
}

int orientation_of(const jpeg_decompress_struct& info) {
    for (const jpeg_marker_struct* marker = info.marker_list; marker != nullptr; marker = marker->next) {
        const std::span<const std::uint8_t> data(marker->data, marker->data_length);
        if (data.size() >= 4 && data[0] == 'E' && data[1] == 'x' && data[2] == 'i' && data[3] == 'f')
            return exif_orientation(data);
    }
    return 1;
}

}  // namespace

std::vector<std::uint8_t> encode_jpeg(const Image& image, int quality, const std::string& comment) {
    constexpr std::size_t kLongestComment = 65533;
    constexpr int kWholeChroma = 90;
    Writer writer;
    jpeg_compress_struct& info = writer.info;
    info.image_width = static_cast<JDIMENSION>(image.width);
    info.image_height = static_cast<JDIMENSION>(image.height);
    info.input_components = 3;
    info.in_color_space = JCS_RGB;
    jpeg_set_defaults(&info);
    jpeg_set_quality(&info, quality, TRUE);
    if (quality >= kWholeChroma) info.comp_info[0].h_samp_factor = info.comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(&info, TRUE);
    if (!comment.empty())
        jpeg_write_marker(&info, JPEG_COM, reinterpret_cast<const JOCTET*>(comment.data()),
                          static_cast<unsigned>(std::min(comment.size(), kLongestComment)));
    const std::size_t row_bytes = static_cast<std::size_t>(image.width) * 3;
    while (info.next_scanline < info.image_height) {
        auto* row = const_cast<JSAMPROW>(image.pixels.data() + info.next_scanline * row_bytes);
        jpeg_write_scanlines(&info, &row, 1);
    }
    jpeg_finish_compress(&info);
    return {writer.bytes, writer.bytes + writer.size};
}

Image decode_jpeg(std::span<const std::uint8_t> bytes) {
    constexpr unsigned kMostMarkerBytes = 65535;
    if (bytes.size() < 2 || bytes[0] != 0xFF || bytes[1] != 0xD8)
        fail(ErrorCode::kInvalidRequest, "not a JPEG file");
    Reader reader;
    jpeg_decompress_struct& info = reader.info;
    jpeg_mem_src(&info, bytes.data(), static_cast<unsigned long>(bytes.size()));
    jpeg_save_markers(&info, JPEG_APP0 + 1, kMostMarkerBytes);
    jpeg_read_header(&info, TRUE);
    if (info.image_width > kLargestExtent || info.image_height > kLargestExtent)
        fail(ErrorCode::kInvalidRequest, "JPEG: " + std::to_string(info.image_width) + " x " +
                                             std::to_string(info.image_height) +
                                             " pixels, expected at most 8192 x 8192");
    const bool ink = info.jpeg_color_space == JCS_CMYK || info.jpeg_color_space == JCS_YCCK;
    info.out_color_space = ink ? JCS_CMYK : JCS_RGB;
    jpeg_start_decompress(&info);
    Image image{static_cast<int>(info.output_width), static_cast<int>(info.output_height), 3, {}};
    const std::size_t row_bytes = static_cast<std::size_t>(info.output_width) * 3;
    image.pixels.resize(row_bytes * info.output_height);
    std::vector<std::uint8_t> inks(ink ? static_cast<std::size_t>(info.output_width) * 4 : 0);
    while (info.output_scanline < info.output_height) {
        std::uint8_t* target = image.pixels.data() + info.output_scanline * row_bytes;
        JSAMPROW row = ink ? inks.data() : target;
        jpeg_read_scanlines(&info, &row, 1);
        if (ink) to_rgb(inks, info.saw_Adobe_marker != 0, target);
    }
    const int orientation = orientation_of(info);  // the markers go with what follows
    jpeg_finish_decompress(&info);
    return upright(std::move(image), orientation);
}

}  // namespace sdxl
