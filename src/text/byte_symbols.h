// The printable character that stands for each byte in a byte-level vocabulary (GPT-2 and CLIP
// `bytes_to_unicode`): printable Latin-1 stands for itself, the other 68 bytes for U+0100 onwards.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace sdxl {

// UTF-8 of the character of each byte.
const std::array<std::string, 256>& byte_symbols();
// The bytes in the order in which they open the vocabulary: printable ones first.
const std::array<std::uint8_t, 256>& byte_order();

}  // namespace sdxl
