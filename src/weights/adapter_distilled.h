// Adapters that distil a model to few steps, and what they need where a request is silent.
//
// What their authors publish: LCM-LoRA (Luo et al. 2023), SDXL-Lightning (Lin et al. 2024), Hyper-SD (Ren et
// al. 2024), TCD (Zheng et al. 2024), DMD2 (Yin et al. 2024); LoRAs drawn out of SDXL Turbo.
#pragma once

#include <optional>
#include <string>

#include "weights/adapter_file.h"

namespace sdxl {

struct DistilledAdapter {
    std::string name;       // "lcm", "lightning", "hyper", "turbo", "tcd", "dmd2"
    std::string reason;     // where that was seen: "its metadata, modelspec.title", "its name"
    std::string scheduler;  // diffusers' class: "LCMScheduler"
    bool trailing = false;  // trailing timesteps; else as the scheduler has them
    int steps = 4;
    double guidance_scale = 0;  // at most 1: off
};

// From the file's metadata, then its name or, where that is one that all have, its folder's. Nothing for an
// ordinary adapter.
std::optional<DistilledAdapter> detect_distilled(const AdapterFile& file);

}  // namespace sdxl
