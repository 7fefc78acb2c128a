// One function per envelope: from the members around a command to the command. Each throws Failure for what
// it cannot accept, and adds to message.warnings; `name` is the member that made it this envelope.
#pragma once

#include <string>

#include "protocol/field_reader.h"
#include "protocol/message.h"

namespace sdxl {

// {"message_type": name, "request_id", "data"}
Command read_message_envelope(FieldReader& top, const Field<std::string>& name, Message& message);
// {"action": name, ...}
Command read_action_envelope(FieldReader& top, const Field<std::string>& name, Message& message);

}  // namespace sdxl
