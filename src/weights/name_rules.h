// Pieces that the name tables share: dotted tensor names taken apart and renamed from the front.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace sdxl {

struct Rename {
    std::string_view from;
    std::string_view to;
};

// `name` with the first rule applied whose `from` is all of it or is followed by a dot; nothing if none fits.
inline std::optional<std::string> rename_head(std::string_view name, std::span<const Rename> rules) {
    for (const auto& [from, to] : rules)
        if (name.starts_with(from) && (name.size() == from.size() || name[from.size()] == '.'))
            return std::string(to).append(name.substr(from.size()));
    return std::nullopt;
}

// Takes the part before the first dot off `name`, and the dot; all of it if there is none.
inline std::string_view take_part(std::string_view& name) {
    const std::size_t dot = name.find('.');
    const std::string_view part = name.substr(0, dot);
    name = dot == std::string_view::npos ? std::string_view() : name.substr(dot + 1);
    return part;
}

// A block or layer number without sign or leading zeros, at most three digits (no network has a thousand
// blocks).
inline std::optional<int> to_index(std::string_view part) {
    if (part.empty() || part.size() > 3 || (part.size() > 1 && part[0] == '0')) return std::nullopt;
    int value = 0;
    for (const char digit : part) {
        if (digit < '0' || digit > '9') return std::nullopt;
        value = value * 10 + (digit - '0');
    }
    return value;
}

}  // namespace sdxl
