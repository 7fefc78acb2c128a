// Numbers as text.
#pragma once

#include <string>

namespace sdxl {

// The shortest text that reads back as the same number: numbers that differ have different texts.
std::string shortest_text(double value);

}  // namespace sdxl
