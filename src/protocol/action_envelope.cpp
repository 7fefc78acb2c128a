// {"action", ...}: the command's members stand beside it.
#include "protocol/envelopes.h"

namespace sdxl {

std::optional<Envelope> read_action_envelope(const SentObject& top, Report& report) {
    Envelope envelope{EnvelopeKind::kAction, &Schema::named("action_envelope"), "", {top}};
    const auto command = find_command(top, "action", *envelope.schema, nullptr, report);
    if (!command) return std::nullopt;
    envelope.command = *command;
    // Some hosts know the first envelope's name for the object that holds them.
    add_holders(envelope.levels, {"data"});
    return envelope;
}

}  // namespace sdxl
