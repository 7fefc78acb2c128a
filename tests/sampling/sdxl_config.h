// The scheduler configuration that SDXL's files carry.
#pragma once

#include "sampling/scheduler_config.h"

namespace sdxl {

inline SchedulerConfig sdxl_config() {
    SchedulerConfig config;
    config.beta_start = 0.00085;
    config.beta_end = 0.012;
    config.beta_schedule = BetaSchedule::kScaledLinear;
    config.timestep_spacing = TimestepSpacing::kLeading;
    config.steps_offset = 1;
    return config;
}

}  // namespace sdxl
