// From a JSON object to a Message: envelope, members, command. Pure functions but for the drawing of seeds.
#pragma once

#include <string_view>

#include "protocol/message.h"
#include "protocol/normalise.h"
#include "protocol/report.h"

namespace sdxl {

struct ReadRequest {
    Message message;  // `command` holds only if the report is without errors; `warnings` is empty
    Report report;
};

// `top` is the whole line, or a request inside one that asks for its validation. `line` is the text of it
// all.
ReadRequest read_request(const SentObject& top, std::string_view line);

// Who asked and in which envelope, as far as a line that cannot be read says it.
ReplyTo reply_of_broken(const Json& line);

}  // namespace sdxl
