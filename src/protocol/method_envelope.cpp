// {"worker_type", "method", "parameters": {...}}: always a generation.
#include "protocol/envelopes.h"

namespace sdxl {

std::optional<Envelope> read_method_envelope(const SentObject& top, Report& report) {
    Envelope envelope{EnvelopeKind::kMethod, &Schema::named("method_envelope"), "", {top}};
    const auto command = find_command(top, "method", *envelope.schema, nullptr, report);
    if (!command) return std::nullopt;
    envelope.command = *command;
    return envelope;
}

}  // namespace sdxl
