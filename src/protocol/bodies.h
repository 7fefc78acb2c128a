// The three ways in which hosts describe a generation; each becomes the same BodyFields. Pure functions.
#pragma once

#include <vector>

#include "protocol/body_fields.h"
#include "protocol/normalise.h"
#include "schema/schema.h"

namespace sdxl {

enum class BodyKind {
    kFlat,      // prompt, width, steps, ... side by side
    kNested,    // hyperparameters{...}, dimensions{...}, lora{...}, ... beside prompt
    kEnhanced,  // EnhancedSDXLRequest: Model{...}, Scheduler{...}, Hyperparameters{...}, Conditioning{...}
};

// Looks at which objects are there.
BodyKind body_kind(const SentObject& body);

// The schemas of its members: members of the flat body may stand in every other one, too.
std::vector<const Schema*> body_schemas(BodyKind kind);

// `body` was normalised with body_schemas(), perhaps among others.
BodyFields read_body(BodyKind kind, const Canonical& body, Report& report);

BodyFields read_flat_body(const Members& body, Report& report);
// Without the members of the flat body.
BodyFields read_nested_body(const Members& body, Report& report);
BodyFields read_enhanced_body(const Members& body, Report& report);

}  // namespace sdxl
