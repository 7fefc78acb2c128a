// UTF-8 in and out of code points. Bytes that are not UTF-8 become U+FFFD, one per offending byte, so that
// any host string can be handled; nothing here throws.
#pragma once

#include <string>
#include <string_view>

namespace sdxl {

inline constexpr char32_t kReplacementCharacter = 0xFFFD;

std::u32string decode_utf8(std::string_view bytes);
std::string encode_utf8(std::u32string_view text);
void append_utf8(std::string& out, char32_t code_point);

}  // namespace sdxl
