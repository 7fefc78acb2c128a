// The texts of schemas/, which the build turns into a table.
#pragma once

#include <span>
#include <string_view>

namespace sdxl {

struct EmbeddedSchema {
    std::string_view name;  // path under schemas/ without ".json"
    std::string_view text;
};
std::span<const EmbeddedSchema> embedded_schemas();

}  // namespace sdxl
