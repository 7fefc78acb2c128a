// The envelopes: what a line asks for, and where in it the members of that command stand. Pure functions.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/message.h"
#include "protocol/normalise.h"
#include "protocol/report.h"
#include "schema/schema.h"

namespace sdxl {

struct Envelope {
    EnvelopeKind kind = EnvelopeKind::kMessage;
    const Schema* schema = nullptr;
    std::string command;  // by the schema's x-commands, e.g. "inference"
    // The objects in which the command's members stand, outermost first. At least one, if there is a command.
    std::vector<SentObject> levels;
};

// Which of the four it is; absent if the line says of none what to do.
std::optional<EnvelopeKind> envelope_kind(const SentObject& top);

// Absent, with a report, where the line asks for something that is not known or not available.
std::optional<Envelope> read_envelope(EnvelopeKind kind, const SentObject& top, Report& report);

// One file each.
std::optional<Envelope> read_message_envelope(const SentObject& top, Report& report);
std::optional<Envelope> read_action_envelope(const SentObject& top, Report& report);
std::optional<Envelope> read_flat_envelope(const SentObject& top, Report& report);
std::optional<Envelope> read_method_envelope(const SentObject& top, Report& report);

// The line's member of that name, looked up in the schema's x-commands. `others` are names that would do in
// an envelope beside it, for the list in the error.
std::optional<std::string> find_command(const SentObject& top, std::string_view member, const Schema& schema,
                                        const Schema* others, Report& report);
// Is the name one of the schema's x-commands?
bool knows_command(const Schema& schema, std::string_view name);

// Adds the objects that the last level holds under these names, as far as it has them.
void add_holders(std::vector<SentObject>& levels, std::initializer_list<std::string_view> names);

}  // namespace sdxl
