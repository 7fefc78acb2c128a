// The three ways in which hosts describe a generation; each becomes the same GenerationRequest.
//
// Each reads from `body`, may find members there that an envelope has read before it, and throws Failure for
// what it cannot accept. The caller calls body.finish().
#pragma once

#include "protocol/field_reader.h"
#include "request/generation.h"

namespace sdxl {

// prompt, width, steps, ... side by side.
GenerationRequest read_flat_body(FieldReader& body);
// hyperparameters{...}, dimensions{...}, lora{...}, ... beside prompt.
GenerationRequest read_nested_body(FieldReader& body);
// EnhancedSDXLRequest: Model{...}, Scheduler{...}, Hyperparameters{...}, Conditioning{...}, ...
GenerationRequest read_enhanced_body(FieldReader& body);

// Looks at which objects are there and takes the right one of them.
GenerationRequest read_body(FieldReader& body);

}  // namespace sdxl
