#include "pipeline/sampling_plan.h"

#include <utility>

#include "core/error.h"
#include "sampling/scheduler_options.h"

namespace sdxl {

SamplingPlan plan_sampling(const GenerationRequest& request, const SdxlModel& model) {
    SamplingPlan plan{request.scheduler.value_or(model.scheduler.type), model.scheduler.config,
                      request.steps.value_or(model.variant.steps),
                      request.guidance_scale.value_or(model.variant.guidance_scale)};
    plan.embeds_guidance = model.unet->config().guidance_dim > 0;
    apply_scheduler_options(plan.config, request.scheduler_options);
    if (request.sigma_schedule) {
        plan.config.sigma_schedule = *request.sigma_schedule;
        plan.config.use_karras_sigmas = *request.sigma_schedule == SigmaSchedule::kKarras;
    }
    if (request.timestep_spacing) plan.config.timestep_spacing = request.timestep_spacing;
    if (!request.timesteps.empty()) plan.steps = static_cast<int>(request.timesteps.size());
    if (!request.sigmas.empty())
        plan.steps = static_cast<int>(request.sigmas.size()) - (request.sigmas.back() == 0 ? 1 : 0);
    return plan;
}

std::unique_ptr<Scheduler> scheduler_of(const SamplingPlan& plan, const GenerationRequest& request) {
    try {
        auto scheduler = make_scheduler(plan.type, plan.config);
        const bool listed = !request.timesteps.empty() || !request.sigmas.empty();
        scheduler->set_timesteps(
            {.steps = listed ? 0 : plan.steps, .timesteps = request.timesteps, .sigmas = request.sigmas});
        return scheduler;
    } catch (const Failure& failure) {
        // A configuration that the request had a hand in is not the model's fault.
        Error error = failure.error();
        if (error.code != ErrorCode::kInvalidModel || request.scheduler_options.empty()) throw;
        error.code = ErrorCode::kInvalidRequest;
        error.pointer = request.scheduler_options.front().pointer;
        throw Failure(std::move(error));
    }
}

}  // namespace sdxl
