#include "protocol/json_values.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <string_view>

#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestShown = 60;  // of a value in a message, in bytes
constexpr double kTwoTo63 = 9223372036854775808.0;

}  // namespace

bool is_unset(const Json& value) {
    if (value.is_null()) return true;
    if (value.is_array()) return value.empty();
    if (!value.is_string()) return false;
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() || (text.size() == 4 && same_name(text, "none"));
}

bool is_off(const Json& value) {
    if (is_unset(value)) return true;
    if (value.is_boolean()) return !value.get<bool>();
    if (value.is_array()) return std::all_of(value.begin(), value.end(), is_off);
    if (!value.is_object()) return false;
    bool all_off = true;
    for (const auto& [key, member] : value.items()) {
        if (same_name(key, "enabled")) {
            if (is_off(member)) return true;
            if (value.size() == 1) return false;
        } else {
            all_off = all_off && is_off(member);
        }
    }
    return all_off;
}

std::optional<std::int64_t> as_integer(const Json& value) {
    if (value.is_number_unsigned()) {
        const auto number = value.get<std::uint64_t>();
        if (number > static_cast<std::uint64_t>(INT64_MAX)) return std::nullopt;
        return static_cast<std::int64_t>(number);
    }
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (!value.is_number_float()) return std::nullopt;
    const double number = value.get<double>();
    if (!(number >= -kTwoTo63 && number < kTwoTo63) || std::trunc(number) != number) return std::nullopt;
    return static_cast<std::int64_t>(number);
}

std::string describe(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "an array";
    if (!value.is_string()) return value.dump();
    const std::string_view sent = value.get_ref<const std::string&>();
    // The cut may split a character: what is left of it is replaced. Escapes make it longer, so it is cut
    // again.
    std::string text =
        Json(sent.substr(0, kLongestShown)).dump(-1, ' ', true, Json::error_handler_t::replace);
    if (sent.size() > kLongestShown || text.size() > kLongestShown)
        text = text.substr(0, kLongestShown) + "...";
    return "the string " + text;
}

std::string plain(double value) {
    std::ostringstream text;
    text.precision(15);
    text << value;
    return text.str();
}

}  // namespace sdxl
