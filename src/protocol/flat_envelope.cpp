// {"message_type", "session_id", ...}: everything stands at the top level.
#include "protocol/envelopes.h"

namespace sdxl {

std::optional<Envelope> read_flat_envelope(const SentObject& top, Report& report) {
    Envelope envelope{EnvelopeKind::kFlat, &Schema::named("flat_envelope"), "", {top}};
    const auto command =
        find_command(top, "message_type", *envelope.schema, &Schema::named("message_envelope"), report);
    if (!command) return std::nullopt;
    envelope.command = *command;
    return envelope;
}

}  // namespace sdxl
