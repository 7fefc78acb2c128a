// How a picture is sampled: what the request says, else what suits the model.
#pragma once

#include <memory>
#include <string>

#include "pipeline/sdxl_model.h"
#include "request/generation.h"
#include "sampling/scheduler_registry.h"
#include "sampling/step_layout.h"

namespace sdxl {

struct SamplingPlan {
    SchedulerType type = SchedulerType::kEuler;
    SchedulerConfig config;
    int steps = 30;
    double guidance_scale = 7;
    bool embeds_guidance = false;  // the model takes the scale as an input, and needs no second half

    bool guidance() const { return guidance_scale > 1 && !embeds_guidance; }
    TimestepSpacing spacing() const { return config.timestep_spacing.value_or(default_spacing(type)); }
    SigmaSchedule sigmas() const { return sigma_schedule_of(config); }
};
// Fails at the request's own scheduler options, if one cannot be.
SamplingPlan plan_sampling(const GenerationRequest& request, const SdxlModel& model);

// With its steps laid out. Fails with kInvalidRequest or kUnsupported for what does not go together.
std::unique_ptr<Scheduler> scheduler_of(const SamplingPlan& plan, const GenerationRequest& request);

}  // namespace sdxl
