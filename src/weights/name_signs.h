// Signs in tensors' names by which files are told apart.
#pragma once

#include <string_view>

namespace sdxl {

struct NameSign {
    enum class Where { kStart, kInside, kEnd, kWhole };

    Where where;
    std::string_view text;
    std::string_view means;  // "a LoRA", "Flux", ...
};

inline bool bears(std::string_view name, const NameSign& sign) {
    switch (sign.where) {
        case NameSign::Where::kStart:
            return name.starts_with(sign.text);
        case NameSign::Where::kInside:
            return name.find(sign.text) != std::string_view::npos;
        case NameSign::Where::kEnd:
            return name.ends_with(sign.text);
        case NameSign::Where::kWhole:
            return name == sign.text;
    }
    return false;
}

}  // namespace sdxl
