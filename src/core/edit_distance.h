// How far apart two names are, for "did you mean".
#pragma once

#include <cstddef>
#include <string_view>

namespace sdxl {

// Levenshtein distance in bytes. Costs the product of both lengths: callers bound them. Any thread.
std::size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace sdxl
