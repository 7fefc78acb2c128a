#include "protocol/explain.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "protocol/json_values.h"
#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kDefaultMaxBytes = 32 * 1024;  // of a text

std::vector<std::string> strings_of(const Json& rule, const char* keyword) {
    std::vector<std::string> strings;
    const auto list = rule.find(keyword);
    if (list == rule.end()) return strings;
    strings.reserve(list->size());
    // true and false may stand beside words.
    for (const Json& one : *list) strings.push_back(one.is_string() ? one.get<std::string>() : one.dump());
    return strings;
}

std::vector<std::string> types_of(const Json& rule) {
    const auto type = rule.find("type");
    if (type == rule.end()) return {};
    if (type->is_string()) return {type->get<std::string>()};
    return type->get<std::vector<std::string>>();
}

bool takes_objects(const Json& rule) {
    const std::vector<std::string> types = types_of(rule);
    return std::find(types.begin(), types.end(), "object") != types.end();
}

// A number as the schema writes it: a double does not hold the largest seed.
std::string bound(const Json& rule, const char* keyword) {
    const Json& value = rule.at(keyword);
    return value.is_number_float() ? plain(value.get<double>()) : value.dump();
}

std::string number_expectation(const Json& rule, std::string text) {
    if (rule.contains("exclusiveMinimum"))
        text += " of more than " + bound(rule, "exclusiveMinimum") + " and at most " + bound(rule, "maximum");
    else if (rule.contains("minimum") && rule.contains("maximum"))
        text += " from " + bound(rule, "minimum") + " to " + bound(rule, "maximum");
    if (rule.contains("multipleOf")) text += " that is divisible by " + bound(rule, "multipleOf");
    return text;
}

std::string array_expectation(const Json& rule) {
    std::string text = "an array";
    if (rule.contains("maxItems"))
        text += " of " + (rule.contains("minItems") ? bound(rule, "minItems") + " to " : "at most ") +
                bound(rule, "maxItems") + " items";
    return text;
}

std::string expectation_of_type(const Json& rule, const std::string& type) {
    if (type == "integer") return number_expectation(rule, "an integer");
    if (type == "number") return number_expectation(rule, "a number");
    if (type == "boolean") return "true or false";
    if (type == "array") return array_expectation(rule);
    if (type == "string") return "a string";
    return "an object";
}

// The nearest number that the rule takes; absent where there is none to offer.
std::optional<std::string> nearest_number(const Json& rule, const Json& value) {
    const std::vector<std::string> types = types_of(rule);
    const auto sent = as_integer(value);
    if (types != std::vector<std::string>{"integer"} || !sent) return std::nullopt;
    if (!rule.contains("minimum") || !rule.contains("maximum")) return std::nullopt;
    const auto least = rule["minimum"].get<std::int64_t>();
    const auto most = rule["maximum"].get<std::int64_t>();
    const auto step = rule.value("multipleOf", std::int64_t{1});
    std::int64_t nearest = std::clamp(*sent, least, most);
    if (step > 1) nearest = std::clamp((nearest + step / 2) / step * step, least, most);
    return std::to_string(nearest);
}

std::string found(const Json& value) {
    // Arrays are of the wrong length more often than of the wrong kind.
    return value.is_array() ? "an array of " + std::to_string(value.size()) + " items" : describe(value);
}

}  // namespace

std::string expectation(const Json& rule) {
    if (const auto words = rule.find("x-expected"); words != rule.end()) return words->get<std::string>();
    const std::vector<std::string> names = strings_of(rule, "enum");
    const std::vector<std::string_view> views(names.begin(), names.end());
    if (names.size() == 1) return list_names(views) + ", the only one of this worker";
    if (!names.empty()) return "one of " + list_names(views);
    std::string text;
    const std::vector<std::string> types = types_of(rule);
    for (std::size_t i = 0; i < types.size(); ++i) {
        if (i > 0) text += i + 1 == types.size() ? " or " : ", ";
        text += expectation_of_type(rule, types[i]);
    }
    return text.empty() ? "something else" : text;
}

Finding explain(const Violation& violation, const Json* value, std::string pointer) {
    Finding finding{{ErrorCode::kInvalidRequest, "", std::move(pointer)}, {}, ""};
    // Of an object itself the schemas only say what must be in it.
    if (violation.rule == nullptr || value == nullptr ||
        (value->is_object() && takes_objects(*violation.rule))) {
        finding.error.message = violation.reason;
        return finding;
    }
    const Json& rule = *violation.rule;
    std::string expected = expectation(rule);
    finding.allowed = strings_of(rule, "enum");
    const bool numeric =
        expected.starts_with("an integer") || expected.starts_with("a number") || expected == "true or false";
    if (numeric && value->is_string()) expected += " without quotes";
    if (const auto nearest = nearest_number(rule, *value)) {
        finding.nearest = *nearest;
        expected += " (the nearest is " + *nearest + ")";
    }
    finding.error.message = "expected " + expected + ", found " + found(*value);
    if (value->is_string() && !finding.allowed.empty()) {
        const std::vector<std::string_view> views(finding.allowed.begin(), finding.allowed.end());
        finding.nearest = nearest_name(value->get_ref<const std::string&>(), views);
        if (!finding.nearest.empty()) finding.error.message += "; did you mean '" + finding.nearest + "'?";
    }
    return finding;
}

std::optional<Finding> check_text(const Json& rule, const std::string& text, const std::string& pointer) {
    const std::size_t most = rule.value("x-max-bytes", kDefaultMaxBytes);
    std::string message;
    if (text.size() > most)
        message = "expected at most " + std::to_string(most) + " bytes of text, found " +
                  std::to_string(text.size()) + "; send a shorter one";
    else if (text.find('\0') != std::string::npos)
        message = "expected text without NUL characters, found one; remove it";
    if (message.empty()) return std::nullopt;
    return Finding{{ErrorCode::kInvalidRequest, message, pointer}, {}, ""};
}

std::optional<Finding> check_available(const Json& rule, const std::string& text,
                                       const std::string& pointer) {
    const std::vector<std::string> known = strings_of(rule, "x-unsupported-values");
    if (std::none_of(known.begin(), known.end(), [&](const auto& name) { return same_name(name, text); }))
        return std::nullopt;
    std::vector<std::string> allowed = strings_of(rule, "enum");
    const std::string message = allowed.empty() ? "'" + text + "' is not available in this worker yet"
                                                : "expected " + expectation(rule) + ", found '" + text +
                                                      "', which is not available in this worker yet";
    return Finding{{ErrorCode::kUnsupported, message, pointer}, std::move(allowed), ""};
}

}  // namespace sdxl
