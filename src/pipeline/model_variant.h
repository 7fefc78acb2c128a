// What a model was trained or distilled for, beyond what the shapes of its tensors say, and the settings that
// suit it where a request is silent.
#pragma once

#include <string>

#include "sampling/scheduler_config.h"
#include "weights/checkpoint.h"

namespace sdxl {

struct ModelVariant {
    std::string name = "base";  // "base", "refiner", "inpaint", "turbo", "lightning", "lcm", "hyper"
    std::string reason;         // where that was seen, "" for what the tensors alone say
    int steps = 30;
    double guidance_scale = 7;
};

// From the checkpoint's metadata, its scheduler's configuration and, last, its name; may change `scheduler`
// where the model's files bring none. Steps and guidance that they recommend go before those of the kind.
ModelVariant detect_variant(const Checkpoint& checkpoint, LoadedSchedulerConfig& scheduler);

}  // namespace sdxl
