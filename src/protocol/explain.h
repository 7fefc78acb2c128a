// What is wrong with a value, for a person: from a schema's rule and the value that breaks it. Pure
// functions.
#pragma once

#include <optional>
#include <string>

#include "protocol/message.h"
#include "protocol/strict_json.h"
#include "schema/schema.h"

namespace sdxl {

// What a rule takes, e.g. "an integer from 64 to 4096 that is divisible by 8".
std::string expectation(const Json& rule);

// For a violation by `value` (null: nothing is there), which stands at `pointer` in what was sent.
Finding explain(const Violation& violation, const Json* value, std::string pointer);

// For a string that is longer than the rule's x-max-bytes, or holds NUL; absent if it may pass.
std::optional<Finding> check_text(const Json& rule, const std::string& text, const std::string& pointer);

// For a string that the rule lists as known and not available yet; absent if it does not.
std::optional<Finding> check_available(const Json& rule, const std::string& text, const std::string& pointer);

}  // namespace sdxl
