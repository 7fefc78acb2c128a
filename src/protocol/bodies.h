// The three ways in which hosts describe a generation; each becomes the same GenerationRequest.
//
// Each reads from `body` and may find members there that an envelope has read before it; what it cannot
// accept becomes a finding in the body's notes. The caller calls body.finish().
#pragma once

#include "protocol/field_reader.h"
#include "request/generation.h"

namespace sdxl {

enum class BodyRole {
    kAlone,       // a request of its own, or the first of several stages
    kLaterStage,  // takes up the picture of the stage before
};

// prompt, width, steps, ... side by side.
GenerationRequest read_flat_body(FieldReader& body, BodyRole role);
// hyperparameters{...}, dimensions{...}, lora{...}, ... beside prompt.
GenerationRequest read_nested_body(FieldReader& body, BodyRole role);
// EnhancedSDXLRequest: Model{...}, Scheduler{...}, Hyperparameters{...}, Conditioning{...}, ...
GenerationRequest read_enhanced_body(FieldReader& body, BodyRole role);

// Looks at which objects are there and takes the right one of them.
GenerationRequest read_body(FieldReader& body, BodyRole role);

}  // namespace sdxl
