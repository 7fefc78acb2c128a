// Where in a line the values stand that JSON pointers point at: objects forget the order of their members
// when they are read. Pure functions; the time is linear in the line, whatever it holds.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sdxl {

// Ordinal numbers: the first value of the line has the lowest.
struct SentPlace {
    std::size_t begin = 0;
    std::size_t end = 0;  // after everything inside it
};

// One place per pointer. What is not in the line stands behind everything else.
std::vector<SentPlace> sent_places(std::string_view line, const std::vector<std::string>& pointers);

}  // namespace sdxl
