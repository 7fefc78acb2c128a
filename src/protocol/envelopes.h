// One function per envelope: from the members around a command to the command. What cannot be accepted
// becomes a finding in the notes of `top`, or a Failure where nothing more can be made of the request.
#pragma once

#include <string>

#include "protocol/field_reader.h"
#include "protocol/message.h"

namespace sdxl {

// 1: {"message_type", "request_id", "data"}, and 3: {"message_type", "session_id", ...body}. The names of
// their commands differ: message.cpp looks at them.
Command read_message_envelope(FieldReader& top, const Field<std::string>& name, Message& message);
Command read_flat_envelope(FieldReader& top, const Field<std::string>& name, Message& message);
bool is_flat_command(std::string_view name);
// 2: {"action", ...}
Command read_action_envelope(FieldReader& top, const Field<std::string>& name, Message& message);
// 4: {"worker_type", "method", "parameters"}
Command read_method_envelope(FieldReader& top, const Field<std::string>& name, Message& message);

}  // namespace sdxl
