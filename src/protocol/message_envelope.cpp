// {"message_type", "request_id", "data": {...}}
#include "protocol/envelopes.h"

namespace sdxl {

std::optional<Envelope> read_message_envelope(const SentObject& top, Report& report) {
    Envelope envelope{EnvelopeKind::kMessage, &Schema::named("message_envelope"), "", {}};
    const auto command =
        find_command(top, "message_type", *envelope.schema, &Schema::named("flat_envelope"), report);
    if (!command) return std::nullopt;
    envelope.command = *command;
    std::string pointer;
    const Json* data = find_member(top, "data", &pointer);
    if (data == nullptr)
        envelope.levels = {top};
    else if (data->is_object())
        envelope.levels = {{data, pointer}};
    return envelope;
}

}  // namespace sdxl
