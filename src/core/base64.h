// Base64 as in RFC 4648, section 4: how pictures travel inside JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

// With padding, without line breaks.
std::string encode_base64(std::span<const std::uint8_t> bytes);

// With or without padding; blanks and line breaks are passed over. Nothing for any other text.
std::optional<std::vector<std::uint8_t>> decode_base64(std::string_view text);

}  // namespace sdxl
