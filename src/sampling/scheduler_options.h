// What a request says of the scheduler's configuration, field by field, over what the model's files say. The
// fields are those that scheduler_config.h reads, under the same names. Pure functions: any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "request/generation.h"
#include "sampling/scheduler_config.h"

namespace sdxl {

// Fails with kInvalidRequest, or kUnsupported, at the option's pointer for a value that no scheduler here
// takes.
void apply_scheduler_options(SchedulerConfig& config, const std::vector<SchedulerOption>& options);

// Whether a field says how the model was trained: another model beside it, a refiner, has its own.
bool describes_model(std::string_view name);

// Those of `options` that this scheduler does not read, as `config`, with them in it, is.
std::vector<const SchedulerOption*> unused_options(SchedulerType type, const SchedulerConfig& config,
                                                   const std::vector<SchedulerOption>& options);

}  // namespace sdxl
