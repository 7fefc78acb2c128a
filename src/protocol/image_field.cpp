// The part of body_fields.h that knows how pictures travel: a path, a data: URL or bare base64.
#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "core/base64.h"
#include "protocol/body_fields.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestPath = 4096;
// How base64 of pictures begins: PNG, JPEG, WebP, and others that are named when they are read.
constexpr std::array<std::string_view, 6> kPictureStarts{"iVBORw0KGgo", "/9j/", "UklGR",
                                                         "R0lGOD",      "Qk",   "SUkq"};

bool looks_like_base64(std::string_view text) {
    constexpr std::size_t kLeast = 64;  // no picture is smaller
    return text.size() >= kLeast &&
           std::any_of(kPictureStarts.begin(), kPictureStarts.end(),
                       [&](std::string_view start) { return text.starts_with(start); });
}

void refuse(const Field<std::string>& field, const std::string& what, Report& report) {
    report.error(ErrorCode::kInvalidRequest,
                 "expected a picture (a path, a data: URL or base64), found " + what, field.pointer);
}

}  // namespace

ImageSource read_image_field(const Field<std::string>& field, Report& report) {
    ImageSource source;
    source.pointer = field.pointer;
    std::string_view text = field.value;
    const bool url = text.starts_with("data:");
    if (url) {
        const auto comma = text.find(',');
        if (comma == std::string_view::npos || !text.substr(0, comma).ends_with(";base64")) {
            refuse(field, "a data: URL that is not base64; write data:image/png;base64,...", report);
            return source;
        }
        text.remove_prefix(comma + 1);
    }
    if (url || looks_like_base64(text) || text.size() > kLongestPath) {
        auto bytes = decode_base64(text);
        if (bytes && !bytes->empty()) {
            source.bytes = std::make_shared<const std::vector<std::uint8_t>>(std::move(*bytes));
            return source;
        }
        if (url || text.size() > kLongestPath) {
            refuse(field, "text of " + std::to_string(text.size()) + " bytes that is not base64", report);
            return source;
        }
    }
    source.path = field.value;
    return source;
}

}  // namespace sdxl
