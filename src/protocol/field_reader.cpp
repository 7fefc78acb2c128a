#include "protocol/field_reader.h"

#include <algorithm>
#include <cmath>
#include <sstream>
#include <utility>

#include "protocol/key_names.h"

namespace sdxl {
namespace {

constexpr std::size_t kLongestShown = 60;  // of a value in a message, in bytes
constexpr double kTwoTo63 = 9223372036854775808.0;

const Json& no_members() {
    static const Json empty = Json::object();
    return empty;
}

std::string plain(double value) {
    std::ostringstream text;
    text << value;
    return text.str();
}

std::string expectation(const IntegerRange& range) {
    std::string text = "an integer from " + std::to_string(range.least) + " to " + std::to_string(range.most);
    if (range.multiple_of > 1) text += " that is divisible by " + std::to_string(range.multiple_of);
    return text;
}

// The nearest valid value, for the remedy.
std::int64_t nearest(std::int64_t value, const IntegerRange& range) {
    value = std::clamp(value, range.least, range.most);
    return std::clamp((value + range.multiple_of / 2) / range.multiple_of * range.multiple_of, range.least,
                      range.most);
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

std::string describe(const Json& value) {
    if (value.is_object()) return "an object";
    if (value.is_array()) return "an array";
    // ASCII only, so that a cut never splits a character.
    std::string text = value.dump(-1, ' ', true, Json::error_handler_t::replace);
    if (text.size() > kLongestShown) text = text.substr(0, kLongestShown) + "...";
    return value.is_string() ? "the string " + text : text;
}

FieldReader::FieldReader(const Json& object, std::string pointer, Notes& notes)
    : pointer_(std::move(pointer)), notes_(&notes) {
    for (const auto& [key, value] : object.get_ref<const Json::object_t&>())
        members_.push_back({fold_name(key), &key, &value, join_pointer(pointer_, key),
                            std::make_shared<bool>(false), false});
}

void FieldReader::inherit(const FieldReader& outer, Names but) {
    const std::size_t own = members_.size();
    for (const Member& member : outer.members_) {
        const auto own_end = members_.begin() + static_cast<std::ptrdiff_t>(own);
        const bool here = std::any_of(members_.begin(), own_end, [&](const Member& mine) {
            return mine.folded == member.folded && !is_unset(*mine.value);
        });
        const bool left_out = std::any_of(
            but.begin(), but.end(), [&](std::string_view name) { return fold_name(name) == member.folded; });
        if (here || left_out) continue;
        members_.push_back(member);
        members_.back().inherited = true;
    }
}

void FieldReader::reject(ErrorCode code, std::string message, std::string pointer,
                         std::vector<std::string> allowed, std::string nearest) const {
    notes_->findings.push_back(
        {{code, std::move(message), std::move(pointer)}, std::move(allowed), std::move(nearest)});
}

void FieldReader::wrong(const Field<const Json*>& found, const std::string& expected) const {
    reject(ErrorCode::kInvalidRequest, "expected " + expected + ", found " + describe(*found.value),
           found.pointer);
}

void FieldReader::warn(std::string_view pointer, std::string_view what) const {
    notes_->warnings.push_back(std::string(pointer) + " " + std::string(what));
}

std::optional<Field<const Json*>> FieldReader::find(Names names) {
    const Member* best = nullptr;
    for (const std::string_view name : names) {
        asked_.push_back(name);
        const std::string folded = fold_name(name);
        for (Member& member : members_) {
            if (member.folded != folded) continue;
            const bool seen = std::exchange(*member.read, true);
            if (is_unset(*member.value)) continue;
            if (best == nullptr) {
                best = &member;
            } else if (!seen && *member.value != *best->value) {
                if (best->folded == folded)
                    reject(ErrorCode::kInvalidRequest,
                           "'" + *best->key + "' and '" + *member.key +
                               "' are one field with two values; send it once",
                           member.pointer);
                else
                    warn(member.pointer, "is ignored, because " + best->pointer + " is set");
            }
        }
    }
    if (best == nullptr) return std::nullopt;
    return Field<const Json*>{best->value, best->pointer};
}

std::optional<Field<std::string>> FieldReader::text(Names names, std::size_t most_bytes) {
    const auto found = find(names);
    if (!found) return std::nullopt;
    if (!found->value->is_string()) {
        wrong(*found, "a string");
        return std::nullopt;
    }
    const auto& value = found->value->get_ref<const std::string&>();
    if (value.size() > most_bytes) {
        reject(ErrorCode::kInvalidRequest,
               "expected at most " + std::to_string(most_bytes) + " bytes of text, found " +
                   std::to_string(value.size()) + "; send a shorter one",
               found->pointer);
        return std::nullopt;
    }
    if (value.find('\0') != std::string::npos) {
        reject(ErrorCode::kInvalidRequest, "expected text without NUL characters, found one; remove it",
               found->pointer);
        return std::nullopt;
    }
    return Field<std::string>{value, found->pointer};
}

std::optional<Field<std::int64_t>> FieldReader::integer(Names names, IntegerRange range) {
    const auto found = find(names);
    if (!found) return std::nullopt;
    const auto value = as_integer(*found->value);
    if (!value) {
        wrong(*found, expectation(range) + (found->value->is_string() ? " without quotes" : ""));
        return std::nullopt;
    }
    if (*value < range.least || *value > range.most || *value % range.multiple_of != 0) {
        wrong(*found,
              expectation(range) + " (the nearest is " + std::to_string(nearest(*value, range)) + ")");
        return std::nullopt;
    }
    return Field<std::int64_t>{*value, found->pointer};
}

std::optional<Field<double>> FieldReader::number(Names names, double least, double most) {
    const auto found = find(names);
    if (!found) return std::nullopt;
    const std::string expected = "a number from " + plain(least) + " to " + plain(most);
    const double value = found->value->is_number() ? found->value->get<double>() : 0;
    if (found->value->is_number() && value >= least && value <= most)
        return Field<double>{value, found->pointer};
    wrong(*found, expected + (found->value->is_string() ? " without quotes" : ""));
    return std::nullopt;
}

std::optional<Field<bool>> FieldReader::flag(Names names) {
    const auto found = find(names);
    if (!found) return std::nullopt;
    if (found->value->is_boolean()) return Field<bool>{found->value->get<bool>(), found->pointer};
    wrong(*found, "true or false");
    return std::nullopt;
}

FieldReader FieldReader::object(Names names) {
    const auto found = find(names);
    if (found && found->value->is_object()) return FieldReader(*found->value, found->pointer, *notes_);
    if (found) wrong(*found, "an object");
    return FieldReader(no_members(), join_pointer(pointer_, *names.begin()), *notes_);
}

std::vector<Field<const Json*>> FieldReader::objects(Names names, std::size_t most) {
    std::vector<Field<const Json*>> all;
    const auto found = find(names);
    if (!found) return all;
    const std::string expected = "a list of 1 to " + std::to_string(most) + " objects";
    if (!found->value->is_array() || found->value->size() > most) {
        reject(ErrorCode::kInvalidRequest,
               "expected " + expected + ", found " +
                   (found->value->is_array() ? std::to_string(found->value->size()) + " entries"
                                             : describe(*found->value)),
               found->pointer);
        return all;
    }
    for (std::size_t i = 0; i < found->value->size(); ++i) {
        Field<const Json*> one{&(*found->value)[i], found->pointer + "/" + std::to_string(i)};
        if (one.value->is_object())
            all.push_back(std::move(one));
        else
            wrong(one, "an object");
    }
    return all;
}

void FieldReader::refuse(Names names, std::string_view feature) {
    for (const std::string_view name : names) {
        const auto found = find({name});
        // Hosts serialize 0 for a number that nobody set.
        if (found && !is_off(*found->value) && *found->value != 0)
            reject(ErrorCode::kUnsupported,
                   std::string(feature) + ": not available in this worker yet; leave this field out",
                   found->pointer);
    }
}

void FieldReader::no_effect(Names names, std::string_view why) {
    for (const std::string_view name : names) {
        const auto found = find({name});
        if (found && !is_off(*found->value)) warn(found->pointer, "has no effect: " + std::string(why));
    }
}

bool FieldReader::has(std::string_view name) const {
    const std::string folded = fold_name(name);
    return std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
        return member.folded == folded && !is_unset(*member.value);
    });
}

bool FieldReader::has_object(std::string_view name) const {
    const std::string folded = fold_name(name);
    return std::any_of(members_.begin(), members_.end(), [&](const Member& member) {
        return member.folded == folded && member.value->is_object();
    });
}

void FieldReader::finish() {
    for (const Member& member : members_) {
        if (*member.read || member.inherited) continue;
        const std::string_view meant = nearest_name(*member.key, asked_);
        std::string what = "is not a known field and is ignored";
        if (!meant.empty()) what += "; did you mean '" + std::string(meant) + "'?";
        warn(member.pointer, what);
    }
}

}  // namespace sdxl
