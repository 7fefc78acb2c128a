// All schedulers that are built, in one table.
#pragma once

#include <memory>

#include "sampling/scheduler.h"
#include "sampling/scheduler_config.h"

namespace sdxl {

// A spacing that the configuration leaves open is the scheduler's own. What a sampler's name says ("DPM++ 3M
// SDE") goes before the configuration. Fails with kInvalidModel or kUnsupported where the configuration
// cannot be honoured.
std::unique_ptr<Scheduler> make_scheduler(SchedulerType type, const SchedulerConfig& config);

// The spacing where nothing says another one.
TimestepSpacing default_spacing(SchedulerType type);

}  // namespace sdxl
