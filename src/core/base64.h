// Base64 as in RFC 4648, section 4: how pictures travel inside JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace sdxl {

// With padding, without line breaks.
std::string encode_base64(std::span<const std::uint8_t> bytes);

}  // namespace sdxl
