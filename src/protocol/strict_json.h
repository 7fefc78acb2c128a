// JSON of one line, read without mercy: a duplicate member, nesting beyond kMaxDepth, invalid UTF-8, a number
// that no double holds, NaN, anything after the object, or no object at all is an error.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>

#include "core/error.h"

namespace sdxl {

using Json = nlohmann::json;

inline constexpr int kMaxDepth = 64;  // objects and arrays inside each other, the outermost included

struct ParsedLine {
    Json value =
        Json::object();  // what could be read; with an error only good for finding the id of the request
    std::optional<Error> error;  // kInvalidRequest
};

ParsedLine parse_strict(std::string_view line);

}  // namespace sdxl
