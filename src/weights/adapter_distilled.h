// Adapters that distil a model to few steps, and what they need where a request is silent.
#pragma once

#include <optional>
#include <string>

#include "request/names.h"
#include "weights/adapter_file.h"

namespace sdxl {

struct DistilledAdapter {
    std::string name;    // "lcm", "lightning", "hyper", "turbo", "tcd", "dmd2"
    std::string reason;  // where that was seen: "its metadata, modelspec.title", "its name"
    SchedulerType scheduler = SchedulerType::kEuler;
    bool trailing = false;  // timestep spacing; else the model's
    int steps = 4;
    double guidance_scale = 0;  // 0: off
};

// From the file's metadata, then its name or, where that is a common one, its folder's. Nothing for an
// ordinary adapter.
std::optional<DistilledAdapter> distilled(const AdapterFile& file);

}  // namespace sdxl
