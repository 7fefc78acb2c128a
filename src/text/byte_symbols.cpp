#include "text/byte_symbols.h"

#include "text/utf8.h"

namespace sdxl {
namespace {

bool is_printable(unsigned byte) {
    return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

std::array<std::string, 256> make_symbols() {
    std::array<std::string, 256> symbols;
    char32_t next = 0x100;
    for (unsigned byte = 0; byte < 256; ++byte)
        append_utf8(symbols[byte], is_printable(byte) ? static_cast<char32_t>(byte) : next++);
    return symbols;
}

std::array<std::uint8_t, 256> make_order() {
    std::array<std::uint8_t, 256> order{};
    std::size_t count = 0;
    for (const bool printable : {true, false})
        for (unsigned byte = 0; byte < 256; ++byte)
            if (is_printable(byte) == printable) order[count++] = static_cast<std::uint8_t>(byte);
    return order;
}

}  // namespace

const std::array<std::string, 256>& byte_symbols() {
    static const std::array<std::string, 256> symbols = make_symbols();
    return symbols;
}

const std::array<std::uint8_t, 256>& byte_order() {
    static const std::array<std::uint8_t, 256> order = make_order();
    return order;
}

}  // namespace sdxl
