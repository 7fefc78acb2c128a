// From an object as a host writes it to the same in the schemas' spelling, checked.
//
// Names match ignoring case and underscores, and by x-aliases; what is not set (null, "", "none", []) is left
// out, and so is what is switched off and not available anyway. Unknown members are warned about. What the
// schemas do not allow is reported and left out: readers of the result find valid members only. Pure
// functions of their arguments; the time is linear in the size of the object.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "protocol/report.h"
#include "protocol/strict_json.h"
#include "schema/schema.h"

namespace sdxl {

// An object in what was sent. The line must outlive it.
struct SentObject {
    const Json* object = nullptr;
    std::string pointer;
};

struct Canonical {
    Json value = Json::object();
    std::string pointer;  // of the object, as it was sent
    // From pointers into `value` to pointers into what was sent.
    std::unordered_map<std::string, std::string> sent;
    // Pointers into `value` where something was sent that is not valid, and so is not there.
    std::unordered_set<std::string> refused;
};

// The object's members are those of all schemas; where two have a member of the same name, the earlier one's
// counts. REQUIRES: `sent.object` is an object.
Canonical normalise(const SentObject& sent, std::span<const Schema* const> schemas, Report& report);

// The member of that name ignoring case and underscores, if it is set; its pointer if wanted.
const Json* find_member(const SentObject& sent, std::string_view name, std::string* pointer = nullptr);
bool has_object(const SentObject& sent, std::string_view name);

}  // namespace sdxl
