// How names are compared: hosts write the same one in many ways.
#pragma once

#include <cctype>
#include <string>
#include <string_view>

namespace sdxl {

// Lower case without spaces, underscores and hyphens. "+" is kept, since "DPM++ 2M" and "DPM 2M" are
// different samplers. Pure function: any thread.
inline std::string normal_form(std::string_view name) {
    std::string result;
    for (const char c : name)
        if (c != ' ' && c != '_' && c != '-')
            result += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    return result;
}

}  // namespace sdxl
