#include "core/number_text.h"

#include <array>
#include <charconv>

namespace sdxl {

std::string shortest_text(double value) {
    std::array<char, 32> text{};
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
}

}  // namespace sdxl
