// What single JSON values mean to hosts, and how messages show them. Pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/strict_json.h"

namespace sdxl {

// Not set: null, "", "none", [].
bool is_unset(const Json& value);
// Switched off: not set, false, {}, {"enabled": false, ...}, or made of such things only.
bool is_off(const Json& value);
// A number without a fraction that fits.
std::optional<std::int64_t> as_integer(const Json& value);
// For messages: a short value as it was sent, the start of a long one, otherwise its kind. ASCII only.
std::string describe(const Json& value);
// A number for messages, e.g. "0.5" or "4096".
std::string plain(double value);

}  // namespace sdxl
