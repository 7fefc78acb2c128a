#include "text/utf8.h"

#include <utf8proc.h>

#include <cstdint>

namespace sdxl {

std::u32string decode_utf8(std::string_view bytes) {
    std::u32string text;
    text.reserve(bytes.size());
    const auto* data = reinterpret_cast<const utf8proc_uint8_t*>(bytes.data());
    for (std::size_t at = 0; at < bytes.size();) {
        utf8proc_int32_t code_point = -1;
        const auto length =
            utf8proc_iterate(data + at, static_cast<utf8proc_ssize_t>(bytes.size() - at), &code_point);
        if (length <= 0) {
            text.push_back(kReplacementCharacter);
            at += 1;
        } else {
            text.push_back(static_cast<char32_t>(code_point));
            at += static_cast<std::size_t>(length);
        }
    }
    return text;
}

void append_utf8(std::string& out, char32_t code_point) {
    utf8proc_uint8_t bytes[4];
    const auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), bytes);
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
}

std::string encode_utf8(std::u32string_view text) {
    std::string out;
    out.reserve(text.size());
    for (const char32_t code_point : text) append_utf8(out, code_point);
    return out;
}

}  // namespace sdxl
