// The commands of all envelopes. An envelope says which names it has and where the members of a command
// stand; what they mean is the same everywhere. What cannot be accepted becomes a finding in the reader's
// notes.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "protocol/field_reader.h"
#include "protocol/message.h"

namespace sdxl {

// From the members in `holder` to the command.
using ReadCommand = Command (*)(FieldReader& holder, Message& message);

struct NamedCommand {
    std::string_view name;
    ReadCommand read;
};

// The command that `name` means. An unknown one is a Failure that lists the known ones and the nearest.
const NamedCommand& find_command(std::span<const NamedCommand> commands, std::string_view member,
                                 const Field<std::string>& name);

// The first of the id members that is set becomes reply.id; ignores what is no id, so that it serves broken
// lines too.
void find_id(const Json& object, Names names, ReplyTo& reply);

// priority, timeout and progress.
void read_delivery(FieldReader& reader, Message& message);
// worker_type.
void read_worker(FieldReader& reader, Message& message);

Command read_status(FieldReader& holder, Message& message);
Command read_capabilities(FieldReader& holder, Message& message);
Command read_initialize(FieldReader& holder, Message& message);
Command read_stop(FieldReader& holder, Message& message);
Command read_cancel(FieldReader& holder, Message& message);
Command read_cleanup(FieldReader& holder, Message& message);
Command read_model_load(FieldReader& holder, Message& message);
Command read_model_unload(FieldReader& holder, Message& message);
Command read_model_info(FieldReader& holder, Message& message);

// [work_commands.cpp] A generation, several stages or a batch, from the body in `holder`, or from the object
// that it keeps under request, request_data or parameters. Warns about unknown members of both.
Command read_work(FieldReader& holder, Message& message);

// [message.cpp] Another request, under `request`, that is only looked at.
Command read_validate(FieldReader& holder, Message& message);

}  // namespace sdxl
