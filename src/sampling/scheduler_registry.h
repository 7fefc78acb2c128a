// All schedulers that are built, in one table.
#pragma once

#include <memory>

#include "sampling/scheduler.h"
#include "sampling/scheduler_config.h"

namespace sdxl {

// Fails with kInvalidModel or kUnsupported where the configuration cannot be honoured.
std::unique_ptr<Scheduler> make_scheduler(SchedulerType type, const SchedulerConfig& config);

}  // namespace sdxl
